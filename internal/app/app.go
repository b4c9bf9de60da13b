package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/avahi"
	"server22.local/appliance/discovery/llmnr"
	"server22.local/appliance/discovery/nbns"
	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/blackbox"
	"server22.local/appliance/internal/clock"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/gcpace"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/internal/mqtt"
	"server22.local/appliance/internal/update"
	"server22.local/appliance/netcfg"
	"server22.local/appliance/realtime"
	"server22.local/appliance/systemd"
)

// How long an end may take, in all less than the five seconds that a user
// waits and the ten that systemd gives.
const (
	lastCall   = 250 * time.Millisecond // for what clients send that have not noticed yet
	frontGrace = 2 * time.Second        // for requests, clients, and goodbyes
	backGrace  = 2 * time.Second        // for the store
)

// ErrRestart is returned by Run when the administrator asked for a restart:
// the process is to begin anew, with the configuration as it is then.
var ErrRestart = errors.New("the administrator asked for a restart")

// Options are what a process gives its appliance.
type Options struct {
	Loaded  *config.Loaded
	Sources config.Sources // for a reload
	Version string
	Log     *slog.Logger
	Level   *slog.LevelVar // of Log
	// Hangups asks for a reload each time; may be nil.
	Hangups <-chan os.Signal
	Stdout  io.Writer // for the first lines
	// Terminal says that somebody looks at Stdout: a QR code is drawn.
	Terminal bool
}

// App is one appliance. Make it with New, then call Run once.
type App struct {
	opts    Options
	log     *slog.Logger
	started time.Time
	health  *health.Registry
	config  atomic.Pointer[config.Loaded]
	guard   *httpd.Guard
	site    atomic.Pointer[site]
	front   parts // what strangers meet: ends first
	back    parts // what keeps things
	reloads chan chan<- error
	box     *blackbox.Box // nil where it cannot be kept
	events  *eventRing
	account *admin.Account
	clock   *clock.Clock

	settings sync.Mutex // one writer of settings.toml at a time

	moving sync.Mutex    // one writer of site at a time; guards the following field
	moved  chan struct{} // closed at the next change of what visitors see of us

	metrics   *httpd.Metrics
	server    *httpd.Server
	realtime  *realtime.Server
	data      *data
	kept      recoveries           // what clients miss while they are away
	mqtt      *mqtt.Server         // nil where that is off
	observer  *netcfg.Configurator // of this process: it may do more than observe
	network   network              // whoever configures the interface
	responder *discovery.Responder // nil where discovery is off
	publisher *avahi.Publisher     // nil where that is off
	llmnr     *llmnr.Responder     // nil where that is off
	nbns      *nbns.Responder      // nil where that is off

	throughAvahi atomic.Bool // whether publisher, and not responder, is at work

	restart context.CancelCauseFunc // ends Run
}

// New returns an appliance that holds nothing yet.
func New(opts Options) *App {
	events := newEventLog(opts.Log.Handler())
	log := slog.New(events)
	a := &App{
		opts: opts, log: log, started: time.Now(),
		health:  health.New(log),
		guard:   httpd.NewGuard(policyOf(opts.Loaded)),
		reloads: make(chan chan<- error),
		events:  events.ring,
		metrics: httpd.NewMetrics(),
		moved:   make(chan struct{}),
		clock:   clock.New(&clock.Linux{}),
	}
	a.account = admin.NewAccount(opts.Loaded.Admin.PasswordHash, a.saveHash)
	a.front = parts{health: a.health, log: log}
	a.back = parts{health: a.health, log: log}
	a.config.Store(opts.Loaded)
	a.site.Store(&site{})
	return a
}

// Run serves until the context ends, and then ends within five seconds. An
// error before that is a *Fault where a user can do something about it, or
// ErrRestart.
func (a *App) Run(ctx context.Context) error {
	ctx, a.restart = context.WithCancelCause(ctx)
	defer a.restart(nil)
	err := a.run(ctx)
	if err == nil && errors.Is(context.Cause(ctx), ErrRestart) {
		return ErrRestart
	}
	return err
}

func (a *App) run(ctx context.Context) error {
	state, err := openState(a.cfg().State)
	if err != nil {
		return err
	}
	defer state.Close()
	defer gcpace.Start()()
	if err := a.ensureToken(); err != nil {
		return err
	}
	listeners, err := a.listen(ctx)
	if err != nil {
		return err
	}
	a.firstLook(listeners)
	a.warnOfConfig()
	a.warnOfCard(cardProblems)
	a.warnOfUpdate(update.CardSlots)
	a.openBox()
	return a.serve(ctx, listeners)
}

// cfg is the configuration as it is now.
func (a *App) cfg() *config.Loaded { return a.config.Load() }

// firstLook finds out where we are before anything is served, so that the
// first lines and the first Host header are right.
func (a *App) firstLook(listeners []net.Listener) {
	first := site{listeners: listenerAddrs(listeners)}
	snapshot, err := netcfg.Observe(netcfg.DefaultResolvConf)
	if err != nil {
		a.health.Set(health.Condition{ID: "network", Code: health.NetUnseen, Severity: health.Warning, Text: "the network cannot be observed: " + err.Error()})
	}
	first.snapshot = snapshot
	if a.cfg().Discovery.Enabled {
		first.names = []string{a.cfg().Name + ".local"}
	}
	a.update(func(s *site) { *s = first })
}

// update changes what is known about our place, and tells those who need it.
func (a *App) update(change func(*site)) {
	a.moving.Lock()
	defer a.moving.Unlock()
	s := *a.site.Load()
	change(&s)
	a.site.Store(&s)
	a.guard.SetIdentity(s.identity(a.bareNames()))
	close(a.moved)
	a.moved = make(chan struct{})
}

// moves returns a channel that is closed at the next change of our place or
// our names. Ask for it before looking.
func (a *App) moves() <-chan struct{} {
	a.moving.Lock()
	defer a.moving.Unlock()
	return a.moved
}

// bareNames are our names without domain.
func (a *App) bareNames() []string {
	names := append([]string{a.cfg().Name}, a.cfg().Discovery.Aliases...)
	for _, name := range a.site.Load().names {
		bare, _, _ := strings.Cut(name, ".")
		names = append(names, bare)
	}
	if name := machineName(); name != "" {
		names = append(names, name)
	}
	return names
}

func (a *App) warnOfConfig() {
	for i, warning := range a.cfg().Warnings {
		a.health.Set(health.Condition{ID: fmt.Sprintf("config-%d", i+1), Code: health.ConfigDoubt, Severity: health.Warning, Text: warning, Hint: "'appliance config check' tells more"})
	}
}

func (a *App) serve(ctx context.Context, listeners []net.Listener) error {
	a.server = httpd.New(httpd.Config{
		Listeners: listeners, Guard: a.guard, Log: a.log,
		MaxBody: int64(a.cfg().Realtime.MaxPayload), MaxConns: maxConns(), LastCall: lastCall,
		Literal: []string{"/api/v1/topics/"},
		Uploads: map[string]int64{updatePath: update.MaxBundle, backupPath: maxBackup(a.cfg())},
	})
	if err := a.build(ctx); err != nil {
		return err
	}
	// What strangers meet ends first; what keeps things, after it.
	front, stopFront := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFront()
	a.server.OnShutdown(stopFront) // until then requests are answered in full
	back, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	a.startBack(back)
	served := make(chan error, 1)
	go func() { served <- a.server.Run(ctx, frontGrace) }()
	a.greet()
	a.log.Info("serving", "version", a.opts.Version, "name", a.cfg().Name)
	a.startFront(front)
	a.tell(systemd.Ready(health.Summary(a.health.Conditions())))

	var err error
	select {
	case <-ctx.Done():
		a.tell(systemd.Stopping())
		a.log.Info("stopping")
		err = <-served
	case err = <-served: // nobody can come in any more
		stopFront()
	}
	a.front.wait()
	a.data.bus.Close()
	a.record(blackbox.KindStop, "")
	stopBack()
	a.back.wait()
	return err
}

// build makes the parts; none of them runs yet.
func (a *App) build(ctx context.Context) (err error) {
	a.realtime = a.newRealtime(a.cfg())
	if a.data, err = a.openData(ctx, a.cfg(), a.realtime); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.kept.close(), a.data.store.Close())
		}
	}()
	if a.kept, err = a.openRecoveries(a.cfg(), a.realtime); err != nil {
		return err
	}
	if a.mqtt, err = a.newMQTT(a.cfg()); err != nil {
		return err
	}
	if err = a.buildNetwork(ctx); err != nil {
		return err
	}
	if a.cfg().Discovery.Enabled {
		if a.responder, err = a.newResponder(a.cfg(), *a.site.Load()); err != nil {
			return err
		}
		a.publisher = a.newPublisher(a.cfg(), *a.site.Load())
		a.nbns = a.newNetBIOSName(a.cfg(), *a.site.Load())
		if a.llmnr, err = a.newBareName(a.cfg(), *a.site.Load()); err != nil {
			return err
		}
	}
	a.gauges()
	return a.routes()
}

func (a *App) greet() {
	s := a.site.Load()
	greet(a.opts.Stdout, a.opts.Version, a.cfg().Name, s.urls(), a.account.Code())
	if addrs := s.addressURLs(); a.opts.Terminal && len(addrs) > 0 {
		if code, err := QRText(addrs[0]); err == nil {
			fmt.Fprint(a.opts.Stdout, code)
		}
	}
}

// buildNetwork finds out in whose hands the interface is.
func (a *App) buildNetwork(ctx context.Context) (err error) {
	settings := settingsOf(a.cfg())
	other, elsewhere := someoneElse(ctx, a.cfg())
	if elsewhere {
		settings = netcfg.Settings{Interface: settings.Interface}
		a.network = other
	}
	if a.observer, err = newConfigurator(a.cfg(), settings, a.keepNetwork, a.log.With("part", "netcfg")); err != nil {
		return err
	}
	if !elsewhere {
		a.network = &ownNetwork{a.observer, a.opts.Sources, a.cfg}
	}
	return nil
}

func (a *App) startBack(ctx context.Context) {
	for _, part := range []part{
		{"store", a.data.store.Run},
		{"recovery", a.kept.run},
		{"black box", a.runBox},
		{"network", a.observer.Run},
	} {
		a.back.start(ctx, part)
	}
}

func (a *App) startFront(ctx context.Context) {
	list := []part{
		{"network events", a.followNetwork},
		{"network report", a.followReport},
		{"realtime", a.endRealtime},
		{"reload", a.followReloads},
		{"control socket", a.controlServer().Run},
		{"console", a.followIssue},
		{"witness", a.witness},
		{"power", a.followPower},
		{"clock", a.followClock},
		{"systemd", a.followHealth},
		{"watchdog", systemd.Watchdog{Check: a.selfCheck, Failed: func(err error) { a.log.Error("self-check failed", "err", err) }}.Run},
	}
	if a.mqtt != nil {
		list = append(list, part{"mqtt", a.serveMQTT})
	}
	if a.responder != nil {
		list = append(list, part{"discovery", a.announce}, part{"names", a.followNames}, part{"neighbours", a.followNeighbours})
	}
	if a.publisher != nil {
		list = append(list, part{"avahi", a.followPublished})
	}
	if a.llmnr != nil {
		list = append(list, part{"llmnr", a.llmnr.Run}, part{"bare name", a.followBareName})
	}
	if a.nbns != nil {
		list = append(list, part{"nbns", a.nbns.Run})
	}
	for _, part := range list {
		a.front.start(ctx, part)
	}
}

// followNetwork hands each change of the network to those who need it.
func (a *App) followNetwork(ctx context.Context) error {
	sub := a.observer.Watcher().Subscribe()
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case snapshot := <-sub.C:
			before := a.site.Load().urls()
			a.update(func(s *site) { s.snapshot = snapshot })
			if now := a.site.Load().urls(); !slices.Equal(before, now) {
				a.log.Info("open at", "urls", strings.Join(now, " "))
			}
			if a.responder != nil {
				a.responder.SetInterfaces(linksFor(snapshot))
			}
			if a.publisher != nil {
				a.publisher.Set(a.published(a.cfg(), *a.site.Load()))
			}
			if a.llmnr != nil {
				a.llmnr.SetInterfaces(linksFor(snapshot))
			}
			if a.nbns != nil {
				a.nbns.SetInterfaces(linksFor(snapshot))
			}
			a.health.Clear("network")
		}
	}
}

// followHealth keeps systemd's status line.
func (a *App) followHealth(ctx context.Context) error {
	for {
		changed := a.health.Changed()
		a.tell(systemd.Status(health.Summary(a.health.Conditions())))
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// tell logs what could not be told to systemd; nothing depends on it.
func (a *App) tell(err error) {
	if err != nil {
		a.log.Warn("systemd does not listen", "err", err)
	}
}

// maxConns leaves file descriptors for the store, the network and WebSockets.
func maxConns() int64 {
	return max(64, openFileLimit()/4)
}
