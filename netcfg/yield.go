package netcfg

import (
	"net/netip"
	"slices"
)

// findOwner looks who else configures the interface, and lets go of it if
// somebody does.
func (c *Configurator) findOwner() {
	a := c.link
	if a == nil {
		return
	}
	owners := c.config.Owners
	owners.configures = c.settings.Mode != ModeObserve
	owner, owned := owners.Find(c.jobs, c.watcher.Latest(), a.now)
	switch {
	case !owned && a.owner != nil:
		c.config.Logger.Info("nobody else configures the interface any more", "iface", a.now.Name)
		a.owner = nil
	case owned && a.owner == nil:
		a.yield(owner)
	}
}

// yield leaves the interface to its owner. A leased address stays until it
// expires: the owner may well have been given the same one. The rest of what is
// ours goes, lest it contradict the owner.
func (a *attachment) yield(owner Owner) {
	a.owner = &owner
	if a.c.settings.Mode == ModeObserve {
		return
	}
	a.disconnect()
	a.c.letGo(a)
	a.lease, a.linkLocal, a.confirmed = nil, netip.Addr{}, false
	a.c.config.Logger.Warn("another program configures the interface; only observing it",
		"iface", a.now.Name, "owner", owner.Name, "evidence", owner.Evidence, "hand_over", owner.HandOver)
}

// meddled says that somebody else may have begun to configure the interface, or
// ceased to: an address or a way to elsewhere has come that is not ours, or a
// route of a DHCP client; or what the owner had made there has changed.
func (a *attachment) meddled(snapshot *Snapshot) bool {
	before := a.strangers
	a.strangers = a.foreign(snapshot)
	if a.owner != nil {
		return !slices.Equal(before, a.strangers)
	}
	news := slices.ContainsFunc(a.strangers, func(p netip.Prefix) bool { return !slices.Contains(before, p) })
	return news || a.c.config.Owners.dhcpRoute(a.c.jobs, snapshot, a.now) != ""
}

// foreign are the addresses of IPv4 that others have given to the interface, and
// the destinations of their routes.
func (a *attachment) foreign(snapshot *Snapshot) (list []netip.Prefix) {
	for _, addr := range a.now.Addrs {
		if addr.Prefix.Addr().Is4() && !ours(addr.Protocol) && !slices.Contains(a.c.files.last.Addrs, addr.Prefix) {
			list = append(list, addr.Prefix)
		}
	}
	for _, route := range snapshot.RoutesOf(a.now.Index) {
		if route.Dst.Addr().Is4() && route.Gateway.IsValid() && !ours(route.Protocol) {
			list = append(list, route.Dst)
		}
	}
	return list
}
