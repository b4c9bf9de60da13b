package netcfg

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, where the environment asks for it, one of the
// programs that tests start inside a namespace: everything in netcfg opens its
// sockets in the namespace of the process.
func TestMain(m *testing.M) {
	if program, ok := programs[os.Getenv("NETCFG_TEST_PROGRAM")]; ok {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := program(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

var programs = map[string]func(context.Context) error{
	"watch": watchProgram,
}

// watchProgram prints each snapshot as a line of JSON, and how often events
// were lost.
func watchProgram(ctx context.Context) error {
	watcher := NewWatcher(WatcherConfig{ResolvConf: os.Getenv("NETCFG_TEST_RESOLV"), ReceiveBuffer: 4096})
	subscription := watcher.Subscribe()
	go func() {
		out := json.NewEncoder(os.Stdout)
		for snapshot := range subscription.C {
			_ = out.Encode(watchLine{snapshot, watcher.Overruns()})
		}
	}()
	defer subscription.Close()
	return watcher.Run(ctx)
}

type watchLine struct {
	*Snapshot
	Overruns int
}
