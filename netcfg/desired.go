package netcfg

import (
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/netcfg/dhcp4"
	"server22.local/appliance/netcfg/linklocal"
)

// Origin says where an address or a route comes from, and marks it as ours: it
// is the protocol number of routes and, since Linux 5.18, of addresses.
type Origin int

// The origins. They are numbers that neither the kernel nor a routing daemon
// uses (rtnetlink.h, /etc/iproute2/rt_protos).
const (
	FromSettings  Origin = 0xA0
	FromLease     Origin = 0xA1
	FromLinkLocal Origin = 0xA2
)

func (o Origin) String() string {
	switch o {
	case FromSettings:
		return "static"
	case FromLease:
		return "lease"
	case FromLinkLocal:
		return "link-local"
	}
	return "foreign"
}

// MarshalText is String.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// ours says whether a protocol number is one of our origins.
func ours(protocol int) bool {
	return protocol >= int(FromSettings) && protocol <= int(FromLinkLocal)
}

// marked says that an address of IPv4 on the link is ours.
func (l Link) marked() bool {
	return slices.ContainsFunc(l.Addrs, func(a Addr) bool { return a.Prefix.Addr().Is4() && ours(a.Protocol) })
}

// Desired is the state that one link shall have. What is not mentioned and not
// ours is left alone.
type Desired struct {
	// Link and Index name the link; an Index of 0 wants that nothing of ours is
	// left anywhere.
	Link   string
	Index  int
	Up     bool
	MTU    int // 0 leaves it
	Addrs  []WantedAddr
	Routes []WantedRoute
	// Recorded are addresses that we have put on the link on a kernel that keeps
	// no protocol of addresses.
	Recorded []netip.Prefix
}

// WantedAddr is an address that the link shall have.
type WantedAddr struct {
	Prefix    netip.Prefix `json:"prefix"`
	Broadcast netip.Addr   `json:"broadcast,omitzero"`
	// Valid is when the kernel removes the address by itself; zero is never.
	Valid  time.Time `json:"valid,omitzero"`
	Origin Origin    `json:"origin"`
	// NoPrefixRoute keeps the kernel from making a route to the network.
	NoPrefixRoute bool `json:"no_prefix_route,omitempty"`
}

// WantedRoute is a route that shall leave by the link.
type WantedRoute struct {
	Dst     netip.Prefix `json:"dst"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	Src     netip.Addr   `json:"src,omitzero"`
	Metric  int          `json:"metric,omitempty"`
	MTU     int          `json:"mtu,omitempty"`
	// OnLink says that the gateway is a neighbour though no address says so.
	OnLink bool   `json:"on_link,omitempty"`
	Origin Origin `json:"origin"`
}

const (
	// defaultMetric of our routes is NetworkManager's for wired links: better
	// than its Wi-Fi (600), worse than what somebody entered by hand (0).
	defaultMetric = 100
	// linkLocalMetric makes 169.254.0.0/16 the last choice.
	linkLocalMetric = 1000
	// leastLinkMTU is IPv6's: below it the kernel would take IPv6 off the link, so
	// that smaller ones are set on routes.
	leastLinkMTU = 1280
)

// addLease adds what a lease gives.
func (d *Desired) addLease(lease *dhcp4.Lease, mtu int) {
	src := lease.Prefix.Addr()
	d.Addrs = append(d.Addrs, WantedAddr{
		Prefix: lease.Prefix, Broadcast: lease.Broadcast, Valid: lease.Expires(), Origin: FromLease,
	})
	if mtu >= leastLinkMTU {
		d.MTU, mtu = mtu, 0
	}
	routes := slices.Clone(lease.Routes)
	for _, router := range lease.Routers {
		routes = append(routes, dhcp4.Route{Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Gateway: router})
	}
	for n, route := range routes {
		d.Routes = append(d.Routes, WantedRoute{
			Dst: route.Dst, Gateway: route.Gateway, Src: src, Metric: defaultMetric, MTU: mtu,
			OnLink: route.Gateway.IsValid() && !lease.Prefix.Contains(route.Gateway), Origin: FromLease,
		})
		if n >= len(lease.Routes) { // of several default routers the first is the best
			d.Routes[len(d.Routes)-1].Metric += n - len(lease.Routes)
		}
	}
}

// addStatic adds addresses, and the gateways and routes that they reach.
func (d *Desired) addStatic(static Static, addrs []netip.Prefix) {
	for _, prefix := range addrs {
		addr := WantedAddr{Prefix: prefix, Origin: FromSettings}
		if prefix.Addr().Is4() && prefix.Bits() < 31 {
			addr.Broadcast = lastOf(prefix)
		}
		d.Addrs = append(d.Addrs, addr)
	}
	if static.MTU >= leastLinkMTU {
		d.MTU = static.MTU
	}
	routes := slices.Clone(static.Routes)
	for _, gateway := range static.Gateways {
		routes = append(routes, StaticRoute{Dst: defaultOf(gateway), Gateway: gateway})
	}
	for _, route := range routes {
		if src, ok := sourceFor(route, addrs); ok {
			d.Routes = append(d.Routes, WantedRoute{
				Dst: route.Dst, Gateway: route.Gateway, Src: src, Metric: max(route.Metric, defaultMetric), Origin: FromSettings,
				MTU: routeMTU(static.MTU),
			})
		}
	}
}

func routeMTU(mtu int) int {
	if mtu < leastLinkMTU {
		return mtu
	}
	return 0
}

func defaultOf(addr netip.Addr) netip.Prefix {
	if addr.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// sourceFor finds the address that a static route is used from; without one the
// route cannot be made yet.
func sourceFor(route StaticRoute, addrs []netip.Prefix) (src netip.Addr, ok bool) {
	for _, prefix := range addrs {
		if prefix.Addr().BitLen() != route.Dst.Addr().BitLen() {
			continue
		}
		if !route.Gateway.IsValid() || prefix.Contains(route.Gateway) {
			if prefix.Addr().Is6() {
				return netip.Addr{}, true // source selection of IPv6 knows better
			}
			return prefix.Addr(), true
		}
		ok = ok || route.Gateway.IsLinkLocalUnicast()
	}
	return netip.Addr{}, ok
}

// addLinkLocal adds an address of RFC 3927. Its route is the last choice: a
// neighbour without a server is reached, and nothing else is.
func (d *Desired) addLinkLocal(addr netip.Addr) {
	prefix := netip.PrefixFrom(addr, linklocal.Prefix.Bits())
	d.Addrs = append(d.Addrs, WantedAddr{
		Prefix: prefix, Broadcast: lastOf(prefix), Origin: FromLinkLocal, NoPrefixRoute: true,
	})
	d.Routes = append(d.Routes, WantedRoute{
		Dst: linklocal.Prefix, Src: addr, Metric: linkLocalMetric, Origin: FromLinkLocal,
	})
}
