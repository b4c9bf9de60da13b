package netcfg

import (
	"net/netip"
	"slices"
	"time"
)

// Plan says what to change so that the observed state becomes the desired one.
// It is a pure function: the same arguments give the same changes, in an order
// in which they can be applied, and none if nothing has to change. It removes
// only what is ours, on whichever link that is.
func Plan(desired Desired, observed *Snapshot) []Change {
	p := planner{desired: desired, observed: observed}
	p.link, p.exists = observed.LinkByIndex(desired.Index)
	p.planLink()
	p.removeRoutes()
	p.removeAddrs()
	if p.exists {
		p.addAddrs()
	}
	if p.exists && (p.link.Up || p.desired.Up) { // a link that is down takes no routes
		p.addRoutes()
	}
	return p.changes
}

type planner struct {
	desired  Desired
	observed *Snapshot
	link     Link // the desired one, if it exists
	exists   bool
	changes  []Change
}

func (p *planner) add(change Change) { p.changes = append(p.changes, change) }

func (p *planner) planLink() {
	if !p.exists {
		return
	}
	if p.desired.MTU != 0 && p.desired.MTU != p.link.MTU {
		p.add(Change{Op: SetMTU, Link: p.link.Name, Index: p.link.Index, MTU: p.desired.MTU, Was: p.link.MTU})
	}
	if p.desired.Up && !p.link.Up {
		p.add(Change{Op: SetUp, Link: p.link.Name, Index: p.link.Index})
	}
}

// removeRoutes removes our routes that are not desired.
func (p *planner) removeRoutes() {
	for _, route := range p.observed.Routes {
		if !ours(route.Protocol) {
			continue
		}
		wanted := route.Link == p.desired.Index &&
			(slices.ContainsFunc(p.desired.Routes, func(w WantedRoute) bool { return w.is(route) }) || p.isPrefixRoute(route))
		if !wanted {
			link, _ := p.observed.LinkByIndex(route.Link)
			p.add(Change{Op: RemoveRoute, Link: link.Name, Index: route.Link, Route: wantedRouteOf(route)})
		}
	}
}

// removeAddrs removes our addresses that are not desired.
func (p *planner) removeAddrs() {
	for _, link := range p.observed.Links {
		for _, addr := range link.Addrs {
			if p.isOurs(link, addr) && !(link.Index == p.desired.Index && p.wants(addr)) {
				p.add(Change{Op: RemoveAddr, Link: link.Name, Index: link.Index, Addr: wantedAddrOf(addr)})
			}
		}
	}
}

func (p *planner) isOurs(link Link, addr Addr) bool {
	recorded := addr.Protocol == 0 && link.Index == p.desired.Index && slices.Contains(p.desired.Recorded, addr.Prefix)
	return ours(addr.Protocol) || recorded
}

func (p *planner) wants(addr Addr) bool {
	return slices.ContainsFunc(p.desired.Addrs, func(w WantedAddr) bool {
		return w.Prefix == addr.Prefix && (w.NoPrefixRoute == addr.NoPrefixRoute || !ours(addr.Protocol))
	})
}

// lifetimeTolerance is by how much a lifetime may differ: the kernel counts in
// seconds, from when it was told.
const lifetimeTolerance = 3 * time.Second

func (p *planner) addAddrs() {
	for _, wanted := range p.desired.Addrs {
		at := slices.IndexFunc(p.link.Addrs, func(a Addr) bool { return a.Prefix == wanted.Prefix })
		if at >= 0 && ours(p.link.Addrs[at].Protocol) && wanted.NoPrefixRoute != p.link.Addrs[at].NoPrefixRoute {
			at = -1 // it is removed above
		}
		switch {
		case at < 0:
			p.add(Change{Op: AddAddr, Link: p.link.Name, Index: p.link.Index, Addr: &wanted})
		case p.isOurs(p.link, p.link.Addrs[at]) && !sameLife(wanted.Valid, p.link.Addrs[at].Valid):
			p.add(Change{Op: RefreshAddr, Link: p.link.Name, Index: p.link.Index, Addr: &wanted})
		}
	}
}

func sameLife(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() == b.IsZero()
	}
	return a.Sub(b).Abs() <= lifetimeTolerance
}

func (p *planner) addRoutes() {
	for _, wanted := range p.prefixRoutes() {
		p.add(Change{Op: AddRoute, Link: p.link.Name, Index: p.link.Index, Route: &wanted})
	}
	for _, wanted := range p.desired.Routes {
		if !p.has(wanted) {
			p.add(Change{Op: AddRoute, Link: p.link.Name, Index: p.link.Index, Route: &wanted})
		}
	}
}

// has says that the route is there, whoever made it.
func (p *planner) has(wanted WantedRoute) bool {
	return slices.ContainsFunc(p.observed.Routes, func(r Route) bool {
		return r.Link == p.desired.Index && wanted.is(r)
	})
}

// prefixRoutes are the routes to the networks of desired addresses which the
// kernel once made and somebody has removed since.
func (p *planner) prefixRoutes() []WantedRoute {
	var missing []WantedRoute
	for _, addr := range p.desired.Addrs {
		present := slices.ContainsFunc(p.link.Addrs, func(a Addr) bool { return a.Prefix == addr.Prefix && !a.Tentative })
		if !present || addr.NoPrefixRoute || addr.Prefix.IsSingleIP() || !p.link.Up {
			continue // with the address the kernel makes the route
		}
		network := addr.Prefix.Masked()
		there := slices.ContainsFunc(p.observed.Routes, func(r Route) bool {
			return r.Link == p.desired.Index && r.Dst == network && !r.Gateway.IsValid()
		})
		if !there {
			missing = append(missing, WantedRoute{Dst: network, Src: sourceOf(addr.Prefix), Origin: addr.Origin})
		}
	}
	return missing
}

// isPrefixRoute says that one of our routes stands in for one that the kernel
// made.
func (p *planner) isPrefixRoute(route Route) bool {
	return !route.Gateway.IsValid() && slices.ContainsFunc(p.desired.Addrs, func(w WantedAddr) bool {
		return !w.NoPrefixRoute && w.Prefix.Masked() == route.Dst && (!route.Src.IsValid() || route.Src == w.Prefix.Addr())
	})
}

func sourceOf(prefix netip.Prefix) netip.Addr {
	if prefix.Addr().Is4() {
		return prefix.Addr()
	}
	return netip.Addr{}
}

// is says that the kernel's route is the wanted one.
func (w WantedRoute) is(r Route) bool {
	return w.Dst == r.Dst && w.Gateway == r.Gateway && w.Metric == r.Metric && w.MTU == r.MTU &&
		(w.Src == r.Src || !w.Src.IsValid())
}

func wantedRouteOf(r Route) *WantedRoute {
	return &WantedRoute{Dst: r.Dst, Gateway: r.Gateway, Src: r.Src, Metric: r.Metric, MTU: r.MTU, OnLink: r.OnLink, Origin: Origin(r.Protocol)}
}

func wantedAddrOf(a Addr) *WantedAddr {
	return &WantedAddr{Prefix: a.Prefix, Valid: a.Valid, Origin: Origin(a.Protocol), NoPrefixRoute: a.NoPrefixRoute}
}
