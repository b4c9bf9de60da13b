package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// An Interface is what the responder has to know of one. It is plain data, so
// that it can come from whatever watches the network.
type Interface struct {
	Index int
	Name  string
	// Flags as in [net.Interface]: the responder needs FlagUp, FlagRunning
	// (there is a carrier) and FlagMulticast.
	Flags net.Flags
	// MTU in bytes; 0 means 1500.
	MTU int
	// Addresses are those to be published, with the length of their prefix.
	// Tentative and deprecated IPv6 addresses do not belong here.
	Addresses []netip.Prefix
}

// virtual are the beginnings of names that belong to bridges of containers and
// virtual machines, to their ends of cables, and to tunnels. Their addresses
// mean nothing to the LAN.
var virtual = []string{
	"docker", "podman", "veth", "br-", "virbr", "vnet", "lxc", "lxd", "cni", "flannel", "cali",
	"tun", "tap", "wg", "tailscale", "zt", "ppp",
}

// DefaultFilter leaves out loopback, point-to-point links, tunnels, and the
// bridges of containers and virtual machines, which are known by their names.
func DefaultFilter(i Interface) bool {
	if i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
		return false
	}
	return !slices.ContainsFunc(virtual, func(prefix string) bool { return strings.HasPrefix(i.Name, prefix) })
}

// SystemInterfaces reads the interfaces of this host as they are now. It
// cannot tell tentative addresses from others; the kernel's events do.
func SystemInterfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("reading the interfaces: %w", err)
	}
	var interfaces []Interface
	for _, ifi := range all {
		addrs, err := ifi.Addrs()
		if err != nil {
			continue // it went away meanwhile
		}
		i := Interface{Index: ifi.Index, Name: ifi.Name, Flags: ifi.Flags, MTU: ifi.MTU}
		for _, addr := range addrs {
			if p, err := netip.ParsePrefix(addr.String()); err == nil {
				i.Addresses = append(i.Addresses, p)
			}
		}
		interfaces = append(interfaces, i)
	}
	return interfaces, nil
}

// Usable says whether multicast can be sent and received there: it is up, with
// a carrier.
func (i Interface) Usable() bool {
	const needed = net.FlagUp | net.FlagRunning | net.FlagMulticast
	return i.Flags&needed == needed
}

// normal returns the interface with its addresses in one order and form, so
// that two can be compared.
func (i Interface) normal() Interface {
	var addrs []netip.Prefix
	for _, p := range i.Addresses {
		addr := p.Addr().Unmap().WithZone("")
		if addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast() && !addr.IsLoopback() {
			addrs = append(addrs, netip.PrefixFrom(addr, p.Bits()))
		}
	}
	// Addresses that are good everywhere come first: there are clients that
	// take the first and do not know the scope of a link-local one.
	slices.SortFunc(addrs, func(a, b netip.Prefix) int {
		if x, y := a.Addr().IsLinkLocalUnicast(), b.Addr().IsLinkLocalUnicast(); x != y {
			if x {
				return 1
			}
			return -1
		}
		return a.Compare(b)
	})
	i.Addresses = slices.Compact(addrs)
	return i
}

// has says whether the interface has an address of the family.
func (i Interface) has(f family) bool {
	return slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return f.of(p.Addr()) })
}

// onLink says whether addr is reached directly from here: it lies in a prefix
// of the interface (RFC 6762 §11).
func (i Interface) onLink(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// payload is how many bytes of DNS fit into one packet without fragments
// (RFC 6762 §17); jumbo frames are not made use of.
func (i Interface) payload(f family) int {
	mtu := i.MTU
	if mtu <= 0 || mtu > 1500 {
		mtu = 1500
	}
	return max(mtu-f.overhead(), 512)
}
