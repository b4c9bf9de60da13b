package netcfg

import (
	"net/netip"
	"slices"
	"time"
)

// Snapshot is the state of the network at one moment. It is shared between
// subscribers and must not be modified.
type Snapshot struct {
	// Version grows by one whenever something other than the remaining life of
	// an address has changed.
	Version uint64 `json:"version"`
	// Time is when the snapshot was taken.
	Time time.Time `json:"time"`
	// Links are sorted by index.
	Links []Link `json:"links"`
	// Routes are those of the main table, IPv4 before IPv6.
	Routes []Route `json:"routes"`
	// Resolver is what the system's resolver file says.
	Resolver Resolver `json:"resolver"`
}

// Link is a network interface with its addresses.
type Link struct {
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	AltNames []string `json:"alt_names,omitempty"`
	// Kind is the kernel's name for a virtual device ("bridge", "veth", "wireguard"), "device" for hardware.
	Kind string `json:"kind"`
	MAC  MAC    `json:"mac"`
	// PermanentMAC is the address burnt into the hardware, where the driver knows it.
	PermanentMAC MAC `json:"permanent_mac"`
	MTU          int `json:"mtu"`
	// Up says that an administrator (or we) switched the link on.
	Up bool `json:"up"`
	// Carrier says that the link can carry packets: IFF_LOWER_UP, and not dormant
	// as Wi-Fi is before it is associated.
	Carrier      bool `json:"carrier"`
	Loopback     bool `json:"loopback,omitempty"`
	PointToPoint bool `json:"point_to_point,omitempty"`
	Multicast    bool `json:"multicast,omitempty"`
	Wireless     bool `json:"wireless,omitempty"`
	// Master is the index of the bridge or bond that the link is a port of, 0 for none.
	Master int    `json:"master,omitempty"`
	Addrs  []Addr `json:"addrs"`
	// RouterDNS is what IPv6 routers announced on the link; only a [Watcher]
	// knows it.
	RouterDNS RouterDNS `json:"router_dns,omitzero"`
}

// Addr is an address of a link.
type Addr struct {
	// Prefix is the address with the length of its network's prefix.
	Prefix netip.Prefix `json:"prefix"`
	// Peer is the other end's address on a point-to-point link.
	Peer netip.Prefix `json:"peer,omitzero"`
	// Scope is "global", "site", "link" or "host".
	Scope string `json:"scope"`
	// Tentative says that duplicate address detection has not ended: the address
	// must not be announced yet.
	Tentative bool `json:"tentative,omitempty"`
	// Duplicate says that another host has the address (IFA_F_DADFAILED).
	Duplicate bool `json:"duplicate,omitempty"`
	// Deprecated says that the preferred lifetime has ended: no new connections.
	Deprecated bool `json:"deprecated,omitempty"`
	// Temporary is a privacy address of RFC 8981.
	Temporary bool `json:"temporary,omitempty"`
	// Secondary says that another address of the same network came first.
	Secondary bool `json:"secondary,omitempty"`
	// NoPrefixRoute says that the kernel made no route to the network.
	NoPrefixRoute bool `json:"no_prefix_route,omitempty"`
	// Valid and Preferred are when the lifetimes end; zero is never. They are
	// not compared for a new version.
	Valid     time.Time `json:"valid,omitzero"`
	Preferred time.Time `json:"preferred,omitzero"`
	// Protocol is the origin as IFA_PROTO tells it (Linux 5.18).
	Protocol int    `json:"protocol,omitempty"`
	Label    string `json:"label,omitempty"`
}

// Usable says that the address may be announced and connected to: its duplicate
// address detection has ended well.
func (a Addr) Usable() bool { return !a.Tentative && !a.Duplicate }

// Route is a unicast route of the main table.
type Route struct {
	// Dst is the destination; 0.0.0.0/0 and ::/0 are default routes.
	Dst netip.Prefix `json:"dst"`
	// Gateway is the next hop; invalid for a route to the link itself.
	Gateway netip.Addr `json:"gateway,omitzero"`
	// Link is the index of the outgoing link.
	Link int `json:"link"`
	// Src is the preferred source address.
	Src      netip.Addr `json:"src,omitzero"`
	Metric   int        `json:"metric,omitempty"`
	Protocol int        `json:"protocol"`
	MTU      int        `json:"mtu,omitempty"`
	OnLink   bool       `json:"on_link,omitempty"`
}

// Link finds a link by its name or by one of its alternative names.
func (s *Snapshot) Link(name string) (Link, bool) {
	for _, link := range s.Links {
		if link.Name == name || slices.Contains(link.AltNames, name) {
			return link, true
		}
	}
	return Link{}, false
}

// LinkByIndex finds a link by its index.
func (s *Snapshot) LinkByIndex(index int) (Link, bool) {
	for _, link := range s.Links {
		if link.Index == index {
			return link, true
		}
	}
	return Link{}, false
}

// RoutesOf lists the routes that leave by a link.
func (s *Snapshot) RoutesOf(index int) []Route {
	var routes []Route
	for _, route := range s.Routes {
		if route.Link == index {
			routes = append(routes, route)
		}
	}
	return routes
}

// same compares all but versions and times.
func (s *Snapshot) same(other *Snapshot) bool {
	return slices.EqualFunc(s.Links, other.Links, Link.same) &&
		slices.Equal(s.Routes, other.Routes) && s.Resolver.same(other.Resolver)
}

func (l Link) same(other Link) bool {
	return l.Index == other.Index && l.Name == other.Name && slices.Equal(l.AltNames, other.AltNames) &&
		l.Kind == other.Kind && l.MAC == other.MAC && l.PermanentMAC == other.PermanentMAC && l.MTU == other.MTU &&
		l.Up == other.Up && l.Carrier == other.Carrier && l.Loopback == other.Loopback &&
		l.PointToPoint == other.PointToPoint && l.Multicast == other.Multicast && l.Wireless == other.Wireless &&
		l.Master == other.Master && l.RouterDNS.same(other.RouterDNS) && slices.EqualFunc(l.Addrs, other.Addrs, Addr.same)
}

// same ignores how long the address still lives: a renewed lease is no news. An
// address that begins or ceases to live for ever is.
func (a Addr) same(other Addr) bool {
	if a.Valid.IsZero() != other.Valid.IsZero() {
		return false
	}
	a.Valid, a.Preferred = time.Time{}, time.Time{}
	other.Valid, other.Preferred = time.Time{}, time.Time{}
	return a == other
}
