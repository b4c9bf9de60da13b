package realtime_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/test/node"
)

var transports = []string{"polling", "websocket", "upgrade"}

func TestClientVersion2(t *testing.T) {
	url := serve(t, behaving(t))
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			results(t, node.Run(t, "testdata/v2.js", url, transport), 8)
		})
	}
}

func TestPythonClient(t *testing.T) {
	python := need.Command(t, "/usr/bin/python3")[0] // the one for which Debian has packages
	if err := exec.Command(python, "-c", "import socketio, websocket").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("this test needs python3-socketio and python3-websocket")
		}
		t.Skip("this test needs python3-socketio and python3-websocket")
	}
	url := serve(t, behaving(t))
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, python, "testdata/python.py", url, transport).CombinedOutput()
			if err != nil || strings.Contains(string(out), "not ok") || strings.Count(string(out), "ok ") != 7 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
