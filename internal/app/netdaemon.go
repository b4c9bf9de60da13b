package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
	"server22.local/appliance/netcfg"
	"server22.local/appliance/systemd"
)

// NetDaemon is `appliance net run`: the network alone, as a process of its
// own, with the rights that the serving process has not.
type NetDaemon struct {
	opts        Options
	config      atomic.Pointer[config.Loaded]
	*ownNetwork // made by Run

	settings sync.Mutex // one writer of settings.toml at a time
}

// NewNetDaemon returns a daemon that holds nothing yet.
func NewNetDaemon(opts Options) *NetDaemon {
	d := &NetDaemon{opts: opts}
	d.config.Store(opts.Loaded)
	return d
}

// Run looks after the interface until the context ends.
func (d *NetDaemon) Run(ctx context.Context) error {
	cfg := d.config.Load()
	dir := filepath.Join(cfg.State, netStateDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return stateFault(cfg.State, err)
	}
	lock, err := takeLock(filepath.Join(dir, "lock"))
	if err != nil {
		return stateFault(dir, err)
	}
	defer lock.Close()
	configurator, err := newConfigurator(cfg, settingsOf(cfg), d.commit, d.opts.Log)
	if err != nil {
		return err
	}
	d.ownNetwork = &ownNetwork{configurator, d.opts.Sources, d.config.Load}
	mux := http.NewServeMux()
	netRoutes(mux, d)
	mux.Handle("/", http.HandlerFunc(notFound))
	server := &control.Server{Path: cfg.NetSocket(), Handler: mux, Log: d.opts.Log}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.Configurator.Run(ctx) })
	group.Go(func() error { return server.Run(ctx) })
	group.Go(func() error { return d.followHangups(ctx) })
	group.Go(func() error { return d.followState(ctx) })
	group.Go(func() error { return systemd.Watchdog{Check: d.selfCheck}.Run(ctx) })
	return group.Wait()
}

// commit keeps settings that were confirmed.
func (d *NetDaemon) commit(s netcfg.Settings) error {
	d.settings.Lock()
	defer d.settings.Unlock()
	cfg := d.config.Load()
	next, err := cfg.Set(d.opts.Sources, settingChanges(settingsOf(cfg), s))
	if err != nil {
		return err
	}
	d.config.Store(next)
	return nil
}

// followHangups reads the configuration anew at each SIGHUP.
func (d *NetDaemon) followHangups(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.opts.Hangups:
			if err := d.Follow(ctx); err != nil {
				d.opts.Log.Error("the new configuration was not taken", "err", err)
			}
		}
	}
}

// followState tells systemd that the first look at the network is over, and
// what came of it since.
func (d *NetDaemon) followState(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.Ready():
	}
	sub := d.Watcher().Subscribe()
	defer sub.Close()
	d.tell(systemd.Ready(summary(d.Configurator.Report())))
	for {
		select {
		case <-ctx.Done():
			d.tell(systemd.Stopping())
			return nil
		case <-sub.C:
			d.tell(systemd.Status(summary(d.Configurator.Report())))
		}
	}
}

func (d *NetDaemon) tell(err error) {
	if err != nil {
		d.opts.Log.Warn("systemd does not listen", "err", err)
	}
}

// selfCheck passes while the configurator answers.
func (d *NetDaemon) selfCheck(ctx context.Context) error {
	report := d.Configurator.Report()
	if report.Mode == "" {
		return errors.New("the configurator has not begun")
	}
	return ctx.Err()
}

// summary is one line about an interface.
func summary(r netcfg.Report) string {
	line := fmt.Sprintf("%s, %s", r.Interface, r.Mode)
	if r.Interface == "" {
		line = fmt.Sprintf("%s is not there", r.Wanted)
	}
	for _, a := range r.Addrs {
		if a.Prefix.Addr().Is4() {
			line += ", " + a.Prefix.String()
		}
	}
	if len(r.Problems) > 0 {
		line += "; " + r.Problems[0]
	}
	return line
}

// Follow reads the configuration anew, and puts it into force: the serving
// process asks for it when it has changed a setting.
func (d *NetDaemon) Follow(ctx context.Context) error {
	next, err := config.Load(d.opts.Sources)
	if err != nil {
		return err
	}
	d.config.Store(next)
	return d.ownNetwork.Follow(ctx)
}
