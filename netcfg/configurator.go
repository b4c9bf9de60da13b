package netcfg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"server22.local/appliance/netcfg/dhcp4"
)

// Configurator keeps one interface as the settings want it, or only watches
// where they want nothing more.
//
// Run is one actor: snapshots, timers, and what DHCP, link-local addresses and
// callers ask for are handled on its goroutine, one after the other. Whatever
// happens ends in reconcile, which compares what should be with what is.
type Configurator struct {
	config  Config
	watcher *Watcher
	tasks   chan task
	wake    chan struct{} // capacity 1: "look again"
	all     sync.WaitGroup
	running chan struct{} // closed when Run has begun
	ended   chan struct{} // closed when Run has ended

	// The loop's own, from here to mu.
	jobs     context.Context // all that is started lives in it
	kernel   *netlink.Handle
	files    *stateFile
	boot     *bootClock
	settings Settings // in force: the configured ones, or those on trial
	link     *attachment
	trial    *trial
	renamed  bool // the host's name has just changed
	// lastRevert is why the last trial ended without confirmation.
	lastRevert string
	quarrel    quarrel
	leaving    bool   // we configured, and shall only observe: what is ours must go
	failing    string // the last error of applying, to log it once
	resolver   resolverFile
	unwritten  string      // the last error of the resolver file, likewise
	untold     string      // the last error of systemd-resolved, likewise
	told       nameService // what systemd-resolved knows, where the file is its
	telling    *job        // nil if it is not being told just now

	mu sync.Mutex // guards all following fields
	// report is what Report returns, but for the state of the client.
	report Report
	client *dhcp4.Client
}

// task is something to do on the loop's goroutine.
type task struct {
	do   func() error
	done chan error
}

// New makes a configurator; Run starts it. The error says what is wrong with
// the configuration.
func New(config Config) (*Configurator, error) {
	if err := config.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the network: %w", err)
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Configurator{
		config: config,
		watcher: NewWatcher(WatcherConfig{
			ResolvConf: observedResolvConf(config), Logger: config.Logger,
		}),
		tasks:    make(chan task),
		wake:     make(chan struct{}, 1),
		running:  make(chan struct{}),
		ended:    make(chan struct{}),
		settings: config.Settings.withDefaults(),
		resolver: resolverFile{path: config.ResolvConf, stateDir: config.StateDir},
	}, nil
}

func observedResolvConf(config Config) string {
	if config.ResolvConf == "" {
		return DefaultResolvConf
	}
	return config.ResolvConf
}

func (s Settings) withDefaults() Settings {
	if s.Interface == "" {
		s.Interface = Auto
	}
	if s.Mode == "" {
		s.Mode = ModeObserve
	}
	if s.ClientID == "" {
		s.ClientID = "mac"
	}
	if s.LinkLocal == "" {
		s.LinkLocal = LinkLocalFallback
	}
	return s
}

// Watcher is the configurator's; subscribe to it for snapshots. It runs while
// Run does.
func (c *Configurator) Watcher() *Watcher { return c.watcher }

// Ready is closed when the first snapshot has been looked at.
func (c *Configurator) Ready() <-chan struct{} { return c.running }

const (
	// checkInterval is how often everything is compared though nothing happened.
	checkInterval = time.Minute
	// stopTime is what giving back a lease may take at the end.
	stopTime = 2 * time.Second
)

// Run observes, and configures if the settings say so, until ctx ends; then it
// returns nil. Addresses stay on the interface, except a lease that is to be
// released. It fails only where netlink cannot be opened.
func (c *Configurator) Run(ctx context.Context) error {
	defer close(c.ended)
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("configuring the network: opening netlink: %w", err)
	}
	defer kernel.Close()
	c.kernel = kernel
	if c.files, err = openState(c.config.StateDir); err != nil {
		c.config.Logger.Warn("beginning without the saved state", "err", err)
	}
	c.resumeTrial()

	// What is started here lives a little longer than ctx, to release the lease.
	jobs, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.jobs = jobs
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	var watchErr error
	watching.Go(func() { watchErr = c.watcher.Run(jobs) })

	c.loop(ctx)
	c.shutDown()
	cancel()
	c.all.Wait()
	watching.Wait()
	return watchErr
}

// loop is the actor.
func (c *Configurator) loop(ctx context.Context) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	c.boot = newBootClock()
	c.start(func(ctx context.Context) { watchClock(ctx, func() { c.lookAfter(0) }) })
	for first := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-c.watcher.refreshed:
			// Also when nothing differs from the dump before: what we repaired may
			// have been broken again in between.
			c.look(c.watcher.Latest())
			if first {
				close(c.running)
				first = false
			}
		case t := <-c.tasks:
			t.done <- t.do()
		case <-c.wake:
			c.look(c.watcher.Latest())
		case <-ticker.C:
			c.findOwner()
			c.look(c.watcher.Latest())
		}
	}
}

// shutDown ends what runs. While a lease is released the loop's work goes on,
// since the address has to be removed.
func (c *Configurator) shutDown() {
	if c.link == nil {
		return
	}
	if c.settings.ReleaseOnStop && c.link.dhcp != nil {
		released := make(chan struct{})
		client := c.link.dhcp
		go func() {
			defer close(released)
			ctx, cancel := context.WithTimeout(c.jobs, stopTime)
			defer cancel()
			if err := client.Release(ctx); err != nil {
				c.config.Logger.Warn("cannot release the lease", "err", err)
			}
		}()
		c.workUntil(released)
	}
	c.link.disconnect()
	if telling := c.telling; telling != nil {
		told := make(chan struct{})
		go func() {
			defer close(told)
			telling.done.Wait()
		}()
		c.workUntil(told)
	}
}

func (c *Configurator) workUntil(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case t := <-c.tasks:
			t.done <- t.do()
		}
	}
}

// do runs f on the loop's goroutine and waits for it.
func (c *Configurator) do(ctx context.Context, f func() error) error {
	t := task{f, make(chan error, 1)}
	select {
	case c.tasks <- t:
	case <-c.ended:
		return ErrNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookAfter makes the loop look again after a while.
func (c *Configurator) lookAfter(d time.Duration) {
	time.AfterFunc(d, func() {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	})
}

// look takes in a snapshot: the interface may have come, gone or changed.
func (c *Configurator) look(snapshot *Snapshot) {
	if slept := c.boot.slept(); slept > 0 && c.link != nil {
		c.link.wakeUp(slept)
	}
	present := 0
	if c.link != nil {
		present = c.link.now.Index
	}
	link, found := chooseLink(c.settings.Interface, snapshot, present)
	if c.link != nil && (!found || link.Index != present || link.MAC != c.link.now.MAC) {
		c.config.Logger.Info("the interface is gone or another", "iface", c.link.now.Name)
		c.link.disconnect()
		c.link = nil
	}
	if found && c.link == nil {
		c.attach(link)
	}
	if c.link != nil {
		c.link.follow(link, snapshot)
	}
	c.checkTrial()
	if err := c.reconcile(); err != nil {
		c.config.Logger.Debug("reconciling failed", "err", err)
	}
}

// leasePath is where the lease of an interface is kept.
func (c *Configurator) leasePath(link string) string {
	return filepath.Join(c.config.StateDir, "lease-"+link+".json")
}

// ErrNotRunning is the error of asking a configurator whose Run has ended.
var ErrNotRunning = errors.New("the network is not being configured")
