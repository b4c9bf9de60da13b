package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
	"server22.local/appliance/netcfg"
)

// network is whoever looks after the interface: this process, or that of
// `appliance net run`, which alone has the rights to.
type network interface {
	Report(ctx context.Context) (netcfg.Report, error)
	// Try puts changes of the configuration's net keys into force until they
	// are confirmed or the time is over.
	Try(ctx context.Context, changes map[string]*string, limit time.Duration) (netcfg.Trial, error)
	Confirm(ctx context.Context, id string, via netip.Addr) error
	Revert(ctx context.Context, id string) error
	Renew(ctx context.Context) error
	Release(ctx context.Context) error
	// Follow puts the configuration as it is now into force.
	Follow(ctx context.Context) error
}

// settingsOf is the part of the configuration that netcfg is about.
func settingsOf(cfg *config.Loaded) netcfg.Settings {
	s := netcfg.Settings{
		Interface: cfg.Net.Interface, Mode: netcfg.Mode(cfg.Net.Mode), ClientID: cfg.Net.ClientID,
		LinkLocal: netcfg.LinkLocalMode(cfg.Net.LinkLocal), ReleaseOnStop: cfg.Net.ReleaseStop, IgnoreMTU: cfg.Net.IgnoreMTU,
		Static: netcfg.Static{
			Addresses: cfg.Net.Static.Addresses, DNS: cfg.Net.Static.DNS, Search: cfg.Net.Static.Search, MTU: cfg.Net.Static.MTU,
		},
	}
	for _, route := range cfg.Net.Static.Routes {
		s.Static.Routes = append(s.Static.Routes, netcfg.StaticRoute{Dst: route.Dst, Gateway: route.Gateway})
	}
	for _, gateway := range []netip.Addr{cfg.Net.Static.Gateway, cfg.Net.Static.Gateway6} {
		if gateway.IsValid() {
			s.Static.Gateways = append(s.Static.Gateways, gateway)
		}
	}
	return s
}

// settingChanges is the way back: what to write so that settings are kept, in
// place of those of before.
func settingChanges(before, after netcfg.Settings) map[string]*string {
	changes, old := settingTexts(after), settingTexts(before)
	maps.DeleteFunc(changes, func(key string, text *string) bool {
		was := old[key]
		return text == nil && was == nil || text != nil && was != nil && *text == *was
	})
	return changes
}

// settingTexts are settings as the configuration has them; nil is none.
func settingTexts(s netcfg.Settings) map[string]*string {
	texts := map[string]*string{
		"net.interface": new(s.Interface), "net.mode": new(string(s.Mode)),
		"net.client_id": new(s.ClientID), "net.link_local": new(string(s.LinkLocal)),
		"net.release_on_stop":  new(fmt.Sprint(s.ReleaseOnStop)),
		"net.ignore_mtu":       new(fmt.Sprint(s.IgnoreMTU)),
		"net.static.mtu":       new(fmt.Sprint(s.Static.MTU)),
		"net.static.routes":    joined(routesOf(s.Static.Routes)),
		"net.static.addresses": joined(s.Static.Addresses), "net.static.dns": joined(s.Static.DNS),
		"net.static.search": joined(s.Static.Search), "net.static.gateway": nil, "net.static.gateway6": nil,
	}
	for _, gateway := range s.Static.Gateways {
		if gateway.Is4() {
			texts["net.static.gateway"] = new(gateway.String())
		} else {
			texts["net.static.gateway6"] = new(gateway.String())
		}
	}
	return texts
}

func routesOf(list []netcfg.StaticRoute) []config.Route {
	routes := make([]config.Route, len(list))
	for i, route := range list {
		routes[i] = config.Route{Dst: route.Dst, Gateway: route.Gateway}
	}
	return routes
}

func joined[T any](list []T) *string {
	if len(list) == 0 {
		return nil
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = fmt.Sprint(item)
	}
	return new(strings.Join(texts, ","))
}

// resolvConf is the resolver file that is ours to write.
func resolvConf(cfg *config.Loaded) string {
	switch {
	case cfg.Net.ResolvConf != "":
		return cfg.Net.ResolvConf
	case cfg.Place.Runtime != "":
		return filepath.Join(cfg.Place.Runtime, "resolv.conf")
	default:
		return netcfg.DefaultResolvConf
	}
}

// systemResolver is the file where programs look, if that need not be the one
// that is written.
func systemResolver(cfg *config.Loaded) string {
	if cfg.Net.ResolvConf != "" {
		return "" // whoever names a file means that one
	}
	return netcfg.DefaultResolvConf
}

// netStateDir is where netcfg keeps leases and what it must clean up.
const netStateDir = "net"

// ownNetwork is the interface in this process's hands.
type ownNetwork struct {
	*netcfg.Configurator
	sources config.Sources
	config  func() *config.Loaded
}

// newConfigurator makes what looks after the interface. commit keeps settings
// that were confirmed.
func newConfigurator(cfg *config.Loaded, settings netcfg.Settings, commit func(netcfg.Settings) error, log *slog.Logger) (*netcfg.Configurator, error) {
	dir := filepath.Join(cfg.State, netStateDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, stateFault(cfg.State, err)
	}
	configurator, err := netcfg.New(netcfg.Config{
		Settings: settings, Hostname: cfg.Name, ResolvConf: resolvConf(cfg), SystemResolver: systemResolver(cfg), StateDir: dir,
		Commit: commit, Logger: log,
	})
	if err != nil {
		return nil, &Fault{Err: fmt.Errorf("cannot configure the network: %w", err), Advice: "see [net] in 'appliance config show'"}
	}
	return configurator, nil
}

func (n *ownNetwork) Report(context.Context) (netcfg.Report, error) {
	return n.Configurator.Report(), nil
}

func (n *ownNetwork) Try(ctx context.Context, changes map[string]*string, limit time.Duration) (netcfg.Trial, error) {
	next, err := n.config().Preview(n.sources, changes)
	if err != nil {
		return netcfg.Trial{}, err
	}
	return n.Configurator.Try(ctx, settingsOf(next), limit)
}

func (n *ownNetwork) Follow(ctx context.Context) error {
	return n.Reconfigure(ctx, settingsOf(n.config()), n.config().Name)
}

// otherNetwork is the interface in the hands of `appliance net run`.
type otherNetwork struct{ client *control.Client }

func (n otherNetwork) Report(ctx context.Context) (report netcfg.Report, err error) {
	err = n.client.Get(ctx, "/api/v1/net", &report)
	return report, err
}

func (n otherNetwork) Try(ctx context.Context, changes map[string]*string, limit time.Duration) (trial netcfg.Trial, err error) {
	err = n.client.Do(ctx, http.MethodPost, "/api/v1/net/try", tryRequest{changes, int(limit.Seconds())}, &trial)
	return trial, err
}

func (n otherNetwork) Confirm(ctx context.Context, id string, via netip.Addr) error {
	return n.client.Do(ctx, http.MethodPost, "/api/v1/net/confirm", trialRequest{id, via}, nil)
}

func (n otherNetwork) Revert(ctx context.Context, id string) error {
	return n.client.Do(ctx, http.MethodPost, "/api/v1/net/revert", trialRequest{ID: id}, nil)
}

func (n otherNetwork) Renew(ctx context.Context) error {
	return n.client.Do(ctx, http.MethodPost, "/api/v1/net/renew", nil, nil)
}

func (n otherNetwork) Release(ctx context.Context) error {
	return n.client.Do(ctx, http.MethodPost, "/api/v1/net/release", nil, nil)
}

func (n otherNetwork) Follow(ctx context.Context) error {
	return n.client.Do(ctx, http.MethodPost, "/api/v1/net/reload", nil, nil)
}

// mayConfigure reports whether this process has the right to.
func mayConfigure() bool {
	var data [2]unix.CapUserData
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&head, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}

// someoneElse is the daemon of `appliance net run`, if the interface is in its
// hands: it listens, or it is to configure and we have no right to.
func someoneElse(ctx context.Context, cfg *config.Loaded) (otherNetwork, bool) {
	client := control.NewClient(cfg.NetSocket())
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var report netcfg.Report
	err := client.Get(ctx, "/api/v1/net", &report)
	return otherNetwork{client}, err == nil || cfg.Net.Mode != string(netcfg.ModeObserve) && !mayConfigure()
}
