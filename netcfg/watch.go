package netcfg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// coalesce is the least time between two dumps: a cable that is plugged in
	// makes a dozen events within some 50 ms.
	coalesce = 100 * time.Millisecond
	// reopenAfter is the pause before a broken netlink socket is opened anew.
	reopenAfter = time.Second
)

// WatcherConfig tells what to watch. The zero value watches the kernel alone.
type WatcherConfig struct {
	// ResolvConf is the resolver file to watch; "" watches none.
	ResolvConf string
	// Logger takes a line when the socket had to be opened anew; nil discards.
	Logger *slog.Logger
	// ReceiveBuffer is the size of the socket's buffer in bytes; 0 leaves the
	// kernel's default.
	ReceiveBuffer int
}

// Watcher follows links, addresses, routes and the resolver file, and tells
// its subscribers of each change by a new [Snapshot]. It needs no capability.
//
// An event of the kernel is taken only as a hint that something has changed;
// what has changed is read from a complete dump. Lost events (ENOBUFS) and a
// socket that breaks therefore cost nothing but another dump.
type Watcher struct {
	config WatcherConfig
	hints  chan struct{} // capacity 1: "dump again"
	ready  chan struct{} // closed after the first dump
	// refreshed tells a configurator of each dump, whether it differs from the
	// one before or not. Capacity 1.
	refreshed chan struct{}
	routers   routerOptions

	mu sync.Mutex // guards all following fields
	// latest is never modified, only replaced.
	latest      *Snapshot
	subscribers map[*Subscription]struct{}
	overruns    int
}

// NewWatcher makes a watcher; Run starts it.
func NewWatcher(config WatcherConfig) *Watcher {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Watcher{
		config:      config,
		hints:       make(chan struct{}, 1),
		ready:       make(chan struct{}),
		refreshed:   make(chan struct{}, 1),
		latest:      &Snapshot{},
		subscribers: make(map[*Subscription]struct{}),
	}
}

// Subscription receives the snapshots of a [Watcher].
type Subscription struct {
	// C gives the latest snapshot once after Subscribe (as soon as there is
	// one) and after each change. A slow receiver misses snapshots in between,
	// never the last one. It is closed by Close only.
	C <-chan *Snapshot

	c       chan *Snapshot
	watcher *Watcher
}

// Subscribe begins to receive snapshots. It may be called before Run.
func (w *Watcher) Subscribe() *Subscription {
	c := make(chan *Snapshot, 1)
	s := &Subscription{C: c, c: c, watcher: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subscribers[s] = struct{}{}
	if w.latest.Version > 0 {
		c <- w.latest
	}
	return s
}

// Close ends the subscription. Call it once.
func (s *Subscription) Close() {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	delete(s.watcher.subscribers, s)
	close(s.c)
}

// Latest returns the latest snapshot; its Version is 0 before Ready.
func (w *Watcher) Latest() *Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

// Ready is closed once the first snapshot is there.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Overruns counts how often the kernel dropped events (ENOBUFS). Nothing is
// lost by it.
func (w *Watcher) Overruns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.overruns
}

// Run watches until ctx ends, and returns nil then. It fails only when netlink
// cannot be opened at all.
func (w *Watcher) Run(ctx context.Context) error {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("watching the network: opening netlink: %w", err)
	}
	defer kernel.Close()

	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	tasks.Go(func() { w.readEvents(ctx) })
	tasks.Go(func() { watchFile(ctx, w.config.ResolvConf, w.hint) })
	w.refreshOnHints(ctx, kernel)
	return nil
}

// refreshOnHints dumps after a hint, at once if the last dump is long ago, and
// otherwise after the rest of the coalescing time.
func (w *Watcher) refreshOnHints(ctx context.Context, kernel *netlink.Handle) {
	w.hint()
	for {
		expiry := time.NewTimer(w.routers.untilExpiry())
		select {
		case <-ctx.Done():
			expiry.Stop()
			return
		case <-w.hints:
		case <-expiry.C:
		}
		expiry.Stop()
		if err := w.refresh(kernel); err != nil {
			w.config.Logger.Warn("cannot observe the network; will try again", "err", err)
			time.AfterFunc(reopenAfter, w.hint)
		}
		if !sleep(ctx, coalesce) {
			return
		}
	}
}

// hint asks for a dump. It never blocks.
func (w *Watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default: // one is waiting already and will see this change too
	}
}

func (w *Watcher) refresh(kernel *netlink.Handle) error {
	snapshot, err := observe(kernel, w.config.ResolvConf)
	if err != nil {
		return err
	}
	w.routers.addTo(snapshot)
	w.publish(snapshot)
	select {
	case w.refreshed <- struct{}{}:
	default:
	}
	return nil
}

func (w *Watcher) publish(snapshot *Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.latest.Version == 0
	snapshot.Version = w.latest.Version
	if !first && snapshot.same(w.latest) {
		w.latest = snapshot // with newer lifetimes
		return
	}
	snapshot.Version++
	w.latest = snapshot
	for s := range w.subscribers {
		select {
		case <-s.c: // what nobody fetched is out of date
		default:
		}
		s.c <- snapshot
	}
	if first {
		close(w.ready)
	}
}

// readEvents turns the kernel's events into hints until ctx ends, on one socket
// after the other should they break.
func (w *Watcher) readEvents(ctx context.Context) {
	for {
		err := w.readSocket(ctx)
		if ctx.Err() != nil {
			return
		}
		w.config.Logger.Warn("the netlink socket broke; opening another", "err", err)
		if !sleep(ctx, reopenAfter) {
			return
		}
	}
}

func (w *Watcher) readSocket(ctx context.Context) error {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_ND_USEROPT)
	if err != nil {
		return fmt.Errorf("subscribing to netlink: %w", err)
	}
	closed := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer func() {
		if closed() {
			_ = socket.Close()
		}
	}()
	if w.config.ReceiveBuffer > 0 {
		if err := socket.SetReceiveBufferSize(w.config.ReceiveBuffer, false); err != nil {
			return fmt.Errorf("sizing the netlink buffer: %w", err)
		}
	}
	w.hint() // for what happened while no socket was open
	for {
		messages, from, err := socket.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			w.mu.Lock()
			w.overruns++
			w.mu.Unlock()
		case err != nil:
			return fmt.Errorf("reading netlink: %w", err)
		case from.Pid != 0:
			continue // not from the kernel
		}
		for _, message := range messages {
			if message.Header.Type == unix.RTM_NEWNDUSEROPT {
				w.routers.learn(message.Data)
			}
		}
		w.hint()
	}
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
