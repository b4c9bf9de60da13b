package dhcp4

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Forever is the duration of a lease that never ends (all ones on the wire).
const Forever = time.Duration(math.MaxInt64)

// Lease is what a server gave us.
type Lease struct {
	// Prefix is our address and the length of its network's prefix.
	Prefix netip.Prefix `json:"prefix"`
	// Server is the server's identifier (option 54).
	Server netip.Addr `json:"server"`
	// Routers are the default gateways, the best first. They are empty where
	// Routes hold the default route (RFC 3442).
	Routers   []netip.Addr `json:"routers,omitempty"`
	Routes    []Route      `json:"routes,omitempty"`
	Broadcast netip.Addr   `json:"broadcast,omitzero"`
	DNS       []netip.Addr `json:"dns,omitempty"`
	Domain    string       `json:"domain,omitempty"`
	Search    []string     `json:"search,omitempty"`
	NTP       []netip.Addr `json:"ntp,omitempty"`
	// MTU is 0 where the server says nothing (sensible).
	MTU           int    `json:"mtu,omitempty"`
	CaptivePortal string `json:"captive_portal,omitempty"`
	// FQDN is the name that the server says it registers (option 81), "" if it
	// says nothing about it.
	FQDN string `json:"fqdn,omitempty"`

	// Obtained is when the request was sent that the server granted: all times
	// count from it (RFC 2131 §4.4.1).
	Obtained time.Time `json:"obtained"`
	// Duration of the lease, Forever for no end.
	Duration time.Duration `json:"duration"`
	// RenewAfter and RebindAfter are T1 and T2, from Obtained.
	RenewAfter  time.Duration `json:"renew_after"`
	RebindAfter time.Duration `json:"rebind_after"`
	// RouterMAC is the hardware address that the first router had, by which the
	// network is known again (RFC 4436).
	RouterMAC string `json:"router_mac,omitempty"`
}

// Route is a classless static route of RFC 3442.
type Route struct {
	Dst netip.Prefix `json:"dst"`
	// Gateway is invalid for destinations on the link itself.
	Gateway netip.Addr `json:"gateway,omitzero"`
}

// Expires is when the lease ends; the zero time is never.
func (l *Lease) Expires() time.Time {
	if l.Duration == Forever {
		return time.Time{}
	}
	return l.Obtained.Add(l.Duration)
}

// Expired says whether the lease has ended.
func (l *Lease) Expired() bool {
	expires := l.Expires()
	return !expires.IsZero() && !time.Now().Before(expires)
}

// FirstRouter is the gateway of the default route, invalid if there is none.
func (l *Lease) FirstRouter() netip.Addr {
	for _, route := range l.Routes {
		if route.Dst.Bits() == 0 {
			return route.Gateway
		}
	}
	if len(l.Routers) > 0 {
		return l.Routers[0]
	}
	return netip.Addr{}
}

// parseLease reads an OFFER or ACK. Its error says why it is refused: what is
// wrong in a field that an address depends on refuses the whole; what is wrong
// elsewhere is left out.
func parseLease(m *dhcpv4.DHCPv4, obtained time.Time) (*Lease, error) {
	addr, ok := netip.AddrFromSlice(m.YourIPAddr.To4())
	if !ok || !isHost(addr) || addr.IsLinkLocalUnicast() {
		return nil, fmt.Errorf("address %v is not one for a host", addr)
	}
	bits, ok := maskOption(m.Options)
	if !ok || bits < 8 {
		return nil, errors.New("no sensible subnet mask")
	}
	prefix := netip.PrefixFrom(addr, bits)
	if bits < 31 && (addr == prefix.Masked().Addr() || addr == lastOf(prefix)) {
		return nil, fmt.Errorf("address %v is the network or broadcast address", prefix)
	}
	server, ok := addrOption(m.Options, optServerID)
	if !ok || !isHost(server) {
		return nil, errors.New("no sensible server identifier")
	}
	if server == addr {
		return nil, fmt.Errorf("address %v is the server's own", addr)
	}
	duration, ok := durationOption(m.Options, optLeaseTime)
	if !ok || duration <= 0 {
		return nil, errors.New("no sensible lease time")
	}
	l := &Lease{
		Prefix: prefix, Server: server, Obtained: obtained, Duration: duration,
		DNS:           addrsOption(m.Options, optDNS),
		Domain:        nameOption(m.Options, optDomainName),
		Search:        searchOption(m.Options),
		NTP:           addrsOption(m.Options, optNTP),
		MTU:           mtuOption(m.Options),
		CaptivePortal: urlOption(m.Options),
		FQDN:          fqdnOption(m.Options),
	}
	l.Broadcast = broadcastOf(m.Options, prefix)
	l.setRoutes(m.Options)
	l.setTimes(m.Options)
	return l, nil
}

// setRoutes takes the classless routes, which replace the routers (RFC 3442).
func (l *Lease) setRoutes(o dhcpv4.Options) {
	notUs := func(addr netip.Addr) bool { return addr != l.Prefix.Addr() }
	for _, route := range routesOption(o) {
		if notUs(route.Gateway) {
			l.Routes = append(l.Routes, route)
		}
	}
	if len(l.Routes) > 0 {
		return
	}
	for _, router := range addrsOption(o, optRouters) {
		if notUs(router) && !slices.Contains(l.Routers, router) {
			l.Routers = append(l.Routers, router)
		}
	}
}

// setTimes takes T1 and T2 from the server if they make sense, and 0.5 and 0.875
// of the lease otherwise (RFC 2131 §4.4.5).
func (l *Lease) setTimes(o dhcpv4.Options) {
	if l.Duration == Forever {
		l.RenewAfter, l.RebindAfter = Forever, Forever
		return
	}
	t1, ok1 := durationOption(o, optT1)
	t2, ok2 := durationOption(o, optT2)
	if !ok1 {
		t1 = l.Duration / 2
	}
	if !ok2 {
		t2 = l.Duration / 8 * 7
	}
	if t1 <= 0 || t1 >= t2 || t2 >= l.Duration {
		t1, t2 = l.Duration/2, l.Duration/8*7
	}
	l.RenewAfter, l.RebindAfter = early(t1), t2
}

// early takes up to 5 % off, so that what booted together does not renew
// together.
func early(d time.Duration) time.Duration {
	if d < 20 {
		return d
	}
	return d - rand.N(d/20)
}

func broadcastOf(o dhcpv4.Options, prefix netip.Prefix) netip.Addr {
	if prefix.Bits() > 30 {
		return netip.Addr{}
	}
	if addr, ok := addrOption(o, optBroadcast); ok && prefix.Contains(addr) && addr != prefix.Addr() {
		return addr
	}
	return lastOf(prefix)
}

// lastOf is the last address of a prefix of IPv4.
func lastOf(prefix netip.Prefix) netip.Addr {
	b := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}
