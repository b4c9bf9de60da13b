// Command conformance starts the servers that the official test suites of
// Engine.IO and Socket.IO expect:
//
//	go run ./test/conformance -fixture engineio -addr 127.0.0.1:3000
//
// Each fixture is a function of this package and an entry of fixtures.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// fixture makes the server that a suite talks to.
type fixture func(log *slog.Logger) server

// server is a handler with sessions, which end ends.
type server struct {
	http.Handler
	end func() error
}

var fixtures = map[string]fixture{
	"engineio":     engineIO,
	"engineclient": engineClient,
	"socketio":     socketIO,
	"client":       client,
	"defaults":     defaults,
}

func main() {
	names := strings.Join(slices.Sorted(maps.Keys(fixtures)), ", ")
	name := flag.String("fixture", "", "which server to start: "+names)
	addr := flag.String("addr", "127.0.0.1:3000", "where to listen")
	verbose := flag.Bool("v", false, "log what happens")
	flag.Parse()
	if err := run(*name, *addr, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(name, addr string, verbose bool) error {
	start, ok := fixtures[name]
	if !ok {
		return fmt.Errorf("no fixture %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(fixtures)), ", "))
	}
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("starting fixture %s: %w", name, err)
	}
	sessions := start(log)
	front := &http.Server{Handler: sessions, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { front.Close() })
	fmt.Printf("fixture %s listens on %s\n", name, l.Addr())
	if err := front.Serve(l); err != http.ErrServerClosed {
		return fmt.Errorf("serving fixture %s: %w", name, err)
	}
	return sessions.end()
}
