package main

import (
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"server22.local/appliance/test/node"
)

func TestEngineClient(t *testing.T) { drive(t, "engineclient", "testdata/engine-client.js") }

func TestEngineClientVersion3(t *testing.T) { drive(t, "engineio", "testdata/engine-client-v3.js") }

// drive runs a script of foreign clients against a fixture. Each line that it
// prints is a case.
func drive(t *testing.T, fixture, script string) {
	t.Helper()
	t.Parallel()
	server := httptest.NewServer(fixtures[fixture](slog.New(slog.DiscardHandler)))
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
