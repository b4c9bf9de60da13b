package netcfg

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, where the environment asks for it, one of the
// programs that tests start inside a namespace: everything in netcfg opens its
// sockets in the namespace of the process.
func TestMain(m *testing.M) {
	// The process's namespace is that of its first thread, which no goroutine
	// that enters another one may have meanwhile.
	runtime.LockOSThread()
	if program, ok := programs[os.Getenv("NETCFG_TEST_PROGRAM")]; ok {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := program(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "16") // the tests wait for the network, not for processors
	goleak.VerifyTestMain(m)
}

var programs = map[string]func(context.Context) error{
	"watch": watchProgram,
	"run":   runProgram,
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

// runProgram runs a configurator, prints its log to stderr, and writes its
// report to the file that the environment names, a few times a second.
func runProgram(ctx context.Context) error {
	var config Config
	if err := json.Unmarshal([]byte(os.Getenv("NETCFG_TEST_CONFIG")), &config.Settings); err != nil {
		return err
	}
	config.Hostname = "server22"
	config.StateDir = os.Getenv("NETCFG_TEST_STATE")
	config.ResolvConf = os.Getenv("NETCFG_TEST_RESOLV")
	config.Owners = OwnerFinder{Root: config.StateDir, Bus: cmp.Or(os.Getenv("NETCFG_TEST_BUS"), "unix:path=/nonexistent")}
	config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	configurator, err := New(config)
	if err != nil {
		return err
	}
	if os.Getenv("NETCFG_TEST_QUIET") == "" {
		go func() {
			for range time.Tick(50 * time.Millisecond) {
				data, _ := json.Marshal(configurator.Report())
				_ = replaceFile(config.StateDir+"/report.json", data)
			}
		}()
	}
	go commandsFrom(os.Stdin, configurator)
	return configurator.Run(ctx)
}

// commandsFrom carries out lines such as "renew", and answers each by a line.
func commandsFrom(in io.Reader, c *Configurator) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch verb {
		case "renew":
			err = c.Renew(ctx)
		case "release":
			err = c.Release(ctx)
		case "try":
			var settings Settings
			if err = json.Unmarshal([]byte(rest), &settings); err == nil {
				_, err = c.Try(ctx, settings, 4*time.Second)
			}
		case "confirm":
			id, via, _ := strings.Cut(rest, " ")
			addr, _ := netip.ParseAddr(via)
			err = c.Confirm(ctx, id, addr)
		case "sleep":
			var d time.Duration
			if d, err = time.ParseDuration(rest); err == nil {
				err = c.do(ctx, func() error { c.boot.asleep -= d; c.lookAfter(0); return nil })
			}
		case "reconfigure":
			var settings Settings
			if err = json.Unmarshal([]byte(rest), &settings); err == nil {
				err = c.Reconfigure(ctx, settings, "renamed22")
			}
		}
		cancel()
		fmt.Printf("%s: %v\n", verb, err)
	}
}
