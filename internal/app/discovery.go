package app

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"server22.local/appliance/discovery"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/netcfg"
)

// namesFile remembers, in the state folder, which name was won.
const namesFile = "names.json"

// avahiSocket is there while an avahi-daemon runs on this host.
const avahiSocket = "/run/avahi-daemon/socket"

// newResponder makes the mDNS responder of a configuration.
func (a *App) newResponder(cfg *config.Loaded, s site) (*discovery.Responder, error) {
	responder, err := discovery.New(discovery.Config{
		Name:          cfg.Name,
		Aliases:       aliases(cfg),
		Services:      a.services(cfg, s),
		Interfaces:    linksFor(s.snapshot),
		Filter:        linkFilter(cfg.Discovery.Interfaces),
		Store:         names(cfg),
		MulticastOnly: avahiRuns(),
		Logger:        a.log.With("part", "discovery"),
	})
	if err != nil {
		return nil, &Fault{Err: fmt.Errorf("cannot announce the name: %w", err), Advice: "see name and [discovery] in 'appliance config show'"}
	}
	return responder, nil
}

// names remembers which were won, by ourselves or through Avahi.
func names(cfg *config.Loaded) *discovery.FileStore {
	return discovery.NewFileStore(filepath.Join(cfg.State, namesFile))
}

// avahiRuns says whether an avahi-daemon runs in this network namespace: the
// file alone may belong to one in another.
func avahiRuns() bool {
	if _, err := os.Stat(avahiSocket); err != nil {
		return false
	}
	used, err := discovery.PortInUse()
	return used || err != nil
}

func aliases(cfg *config.Loaded) []discovery.Alias {
	var list []discovery.Alias
	for _, name := range cfg.Discovery.Aliases {
		list = append(list, discovery.Alias{Name: name})
	}
	for _, name := range cfg.Discovery.CNAMEs {
		list = append(list, discovery.Alias{Name: name, CNAME: true})
	}
	return list
}

// Mark tells an appliance from other web servers on the network: it is one of
// the TXT strings of its pages.
const Mark = "server=appliance"

// pagesType is how pages are announced.
const pagesType = "_http._tcp"

// services are what browsers of services find, if others than this host can
// open it: the pages, and the Socket.IO server with its endpoint. No name is
// registered for the latter; _socketio._tcp is what others use.
func (a *App) services(cfg *config.Loaded, s site) []discovery.Service {
	if slices.ContainsFunc(s.visible(), netip.Addr.IsLoopback) && !s.everywhere() {
		return nil
	}
	about := []string{Mark, "version=" + a.opts.Version}
	if id := s.id(); id != "" {
		about = append(about, "id="+id)
	}
	service := func(kind, path string) discovery.Service {
		return discovery.Service{
			Instance: cfg.Discovery.Instance, Type: kind, Port: s.port(),
			TXT: append([]string{"txtvers=1", "path=" + path}, about...),
		}
	}
	return []discovery.Service{service(pagesType, "/"), service("_socketio._tcp", "/socket.io/")}
}

// id tells this device from others, whatever it is called: the hardware
// address of its first interface.
func (s site) id() string {
	for _, link := range s.links() {
		if len(link.MAC) > 0 {
			return strings.ReplaceAll(link.MAC.String(), ":", "")
		}
	}
	return ""
}

// linkFilter is the configured choice of interfaces, nil for discovery's own.
func linkFilter(names []string) func(discovery.Interface) bool {
	if len(names) == 0 {
		return nil
	}
	return func(i discovery.Interface) bool { return slices.Contains(names, i.Name) }
}

// linksFor translates what netcfg sees into what discovery needs: the two
// libraries do not know each other.
func linksFor(snapshot *netcfg.Snapshot) []discovery.Interface {
	var list []discovery.Interface
	if snapshot == nil {
		return nil
	}
	for _, link := range snapshot.Links {
		list = append(list, discovery.Interface{
			Index: link.Index, Name: link.Name, MTU: link.MTU,
			Flags: flagsOf(link), Addresses: publishable(link.Addrs),
		})
	}
	return list
}

func flagsOf(link netcfg.Link) net.Flags {
	var flags net.Flags
	for _, f := range []struct {
		set  bool
		flag net.Flags
	}{
		{link.Up, net.FlagUp}, {link.Carrier, net.FlagRunning}, {link.Multicast, net.FlagMulticast},
		{link.Loopback, net.FlagLoopback}, {link.PointToPoint, net.FlagPointToPoint},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

// publishable leaves out what others should not begin to use: addresses that
// are still being checked, that are on their way out, those that change for
// privacy's sake, and a link-local one of ours beside a lease. Most machines
// that have a lease too cannot reach that, and a resolver may pick it.
func publishable(addrs []netcfg.Addr) []netip.Prefix {
	leased := slices.ContainsFunc(addrs, func(a netcfg.Addr) bool { return netcfg.Origin(a.Protocol) == netcfg.FromLease && a.Usable() })
	var list []netip.Prefix
	for _, a := range addrs {
		beside := leased && netcfg.Origin(a.Protocol) == netcfg.FromLinkLocal
		if a.Usable() && !a.Deprecated && !a.Temporary && !beside {
			list = append(list, a.Prefix)
		}
	}
	return list
}

// followNames tells the others what we are called on the network.
func (a *App) followNames(ctx context.Context) error {
	for state := range a.responder.Watch(ctx) {
		if !a.throughAvahi.Load() {
			a.named(state)
		}
	}
	return nil
}

func (a *App) named(state discovery.State) {
	a.update(func(s *site) { s.names = namesOf(state) })
	a.setBareName(state.Host())
	a.reportConflict(state.Host())
}

// namesOf are the names by which browsers find us, the host's first.
func namesOf(state discovery.State) []string {
	var names []string
	for _, n := range state.Names {
		if n.Name != "" && (n.Kind == discovery.HostName || n.Kind == discovery.AliasName && n.Held) {
			names = append(names, strings.TrimSuffix(n.Name, "."))
		}
	}
	return names
}

func (a *App) reportConflict(host discovery.NameState) {
	if host.Name == host.Wanted || !host.Held {
		a.health.Clear("name-conflict")
		return
	}
	wanted, _, _ := strings.Cut(host.Wanted, ".")
	by := "another device"
	if host.Rival != nil {
		by = host.Rival.Address.WithZone("").String()
	}
	a.health.Set(health.Condition{
		ID: "name-conflict", Code: health.NameTaken, Severity: health.Warning,
		Text: fmt.Sprintf("%s is taken by %s; this is %s", wanted, by, host.Label()),
		Hint: "appliance name NEW-NAME",
	})
}

// rename follows a change of the configuration.
func (a *App) rename(before, next *config.Loaded) {
	if a.responder == nil {
		return
	}
	if a.publisher != nil {
		a.publisher.Set(a.published(next, *a.site.Load()))
	}
	if before.Name != next.Name {
		if err := a.responder.Rename(next.Name); err != nil {
			a.log.Error("the name was not taken", "name", next.Name, "err", err)
		}
		a.reannounce(before, next)
	}
	if !slices.Equal(aliases(before), aliases(next)) {
		if err := a.responder.SetAliases(aliases(next)...); err != nil {
			a.log.Error("the aliases were not taken", "err", err)
		}
	}
}

// reannounce gives the services the new instance name, which is the host's
// unless it is configured.
func (a *App) reannounce(before, next *config.Loaded) {
	for _, old := range a.services(before, *a.site.Load()) {
		a.responder.Withdraw(cmp.Or(old.Instance, before.Name), old.Type)
	}
	for _, service := range a.services(next, *a.site.Load()) {
		service.Instance = cmp.Or(service.Instance, next.Name)
		if err := a.responder.Announce(service); err != nil {
			a.log.Error("a service was not announced", "type", service.Type, "err", err)
		}
	}
}
