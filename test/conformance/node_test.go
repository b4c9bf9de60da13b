package main

import (
	"log/slog"
	"net/http"
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

// drive runs a script of foreign clients against a server. Each line that it
// prints is a case.
func drive(t *testing.T, h http.Handler, script string) {
	t.Helper()
	t.Parallel()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	u, err := url.Parse(server.URL)
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
