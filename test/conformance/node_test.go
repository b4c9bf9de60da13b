package main

import (
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/test/node"
)

func TestEngineClient(t *testing.T) {
	drive(t, engineClient(slog.New(slog.DiscardHandler)), "testdata/engine-client.js")
}

// TestEngineClientVersion3 has the server of the protocol suite, but with more
// patience: the 200 ms of the suite are less than a JavaScript engine on a busy
// machine may need to come round to its ping.
func TestEngineClientVersion3(t *testing.T) {
	drive(t, engineEcho(slog.New(slog.DiscardHandler), 10*time.Second), "testdata/engine-client-v3.js")
}

// serve serves a fixture until the test ends, and leaves nothing behind.
func serve(t *testing.T, fixture server) (url string) {
	t.Helper()
	front := httptest.NewServer(fixture)
	t.Cleanup(func() {
		front.CloseClientConnections()
		if err := fixture.end(); err != nil {
			t.Error(err)
		}
		front.Close()
	})
	return front.URL
}

// drive runs a script of foreign clients against a server. Each line that it
// prints is a case.
func drive(t *testing.T, fixture server, script string) {
	t.Helper()
	t.Parallel()
	u, err := url.Parse(serve(t, fixture))
	if err != nil {
		t.Fatal(err)
	}
	s := node.Run(t, script, u.Port())
	for n := 0; ; n++ {
		line := s.Line(t)
		if line == "done" {
			if n == 0 {
				t.Error("no case was run")
			}
			return
		}
		if !strings.HasPrefix(line, "ok ") {
			t.Error(line)
		}
	}
}
