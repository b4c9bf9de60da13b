package netcfg

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Observe reads the present state from the kernel and from the resolver file at
// path (see [DefaultResolvConf]). It needs no capability. Version is 0.
func Observe(resolvConf string) (*Snapshot, error) {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("observing the network: opening netlink: %w", err)
	}
	defer kernel.Close()
	return observe(kernel, resolvConf)
}

// dumpTries is how often a dump that another change interrupted is begun anew.
const dumpTries = 5

func observe(kernel *netlink.Handle, resolvConf string) (*Snapshot, error) {
	var snapshot *Snapshot
	var err error
	for range dumpTries {
		if snapshot, err = dump(kernel); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("observing the network: %w", err)
	}
	snapshot.Resolver = readResolver(resolvConf)
	return snapshot, nil
}

func dump(kernel *netlink.Handle) (*Snapshot, error) {
	links, err := kernel.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	addrs, err := kernel.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	routes, err := kernel.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	now := time.Now()
	return &Snapshot{Time: now, Links: linksOf(links, addrs, now), Routes: routesOf(routes)}, nil
}

func linksOf(links []netlink.Link, addrs []netlink.Addr, now time.Time) []Link {
	list := make([]Link, 0, len(links))
	for _, link := range links {
		l := linkOf(link)
		for _, addr := range addrs {
			if addr.LinkIndex == l.Index {
				l.Addrs = append(l.Addrs, addrOf(addr, now))
			}
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Link) int { return cmp.Compare(a.Index, b.Index) })
	return list
}

func linkOf(link netlink.Link) Link {
	attrs := link.Attrs()
	return Link{
		Index:        attrs.Index,
		Name:         attrs.Name,
		AltNames:     attrs.AltNames,
		Kind:         link.Type(),
		MAC:          macOf(attrs.HardwareAddr),
		PermanentMAC: macOf(attrs.PermHWAddr),
		MTU:          attrs.MTU,
		Up:           attrs.RawFlags&unix.IFF_UP != 0,
		Carrier:      attrs.RawFlags&unix.IFF_LOWER_UP != 0 && attrs.RawFlags&unix.IFF_DORMANT == 0,
		Loopback:     attrs.Flags&net.FlagLoopback != 0,
		PointToPoint: attrs.Flags&net.FlagPointToPoint != 0,
		Multicast:    attrs.Flags&net.FlagMulticast != 0,
		Wireless:     isWireless(attrs.Name),
		Master:       attrs.MasterIndex,
	}
}

// isWireless asks sysfs, the only place that tells without nl80211. In a
// namespace with a foreign /sys mounted the answer is no.
func isWireless(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name + "/phy80211")
	return err == nil
}

func addrOf(addr netlink.Addr, now time.Time) Addr {
	a := Addr{
		Prefix:        prefixOf(addr.IPNet),
		Peer:          prefixOf(addr.Peer),
		Scope:         netlink.Scope(addr.Scope).String(),
		Tentative:     addr.Flags&unix.IFA_F_TENTATIVE != 0 && addr.Flags&unix.IFA_F_OPTIMISTIC == 0,
		Duplicate:     addr.Flags&unix.IFA_F_DADFAILED != 0,
		Deprecated:    addr.Flags&unix.IFA_F_DEPRECATED != 0,
		NoPrefixRoute: addr.Flags&unix.IFA_F_NOPREFIXROUTE != 0,
		Valid:         deadline(now, addr.ValidLft),
		Preferred:     deadline(now, addr.PreferedLft),
		Protocol:      addr.Protocol,
		Label:         addr.Label,
	}
	if addr.Scope == unix.RT_SCOPE_UNIVERSE {
		a.Scope = "global"
	}
	// The kernel uses one bit for both.
	second := addr.Flags&unix.IFA_F_SECONDARY != 0
	a.Secondary, a.Temporary = second && a.Prefix.Addr().Is4(), second && a.Prefix.Addr().Is6()
	return a
}

// deadline turns a lifetime in seconds into a time; the zero time is "for ever",
// which the kernel writes as 2³²-1 (and an int of 32 bits as -1).
func deadline(now time.Time, seconds int) time.Time {
	if uint32(seconds) == math.MaxUint32 {
		return time.Time{}
	}
	return now.Add(time.Duration(seconds) * time.Second)
}

func prefixOf(ipnet *net.IPNet) netip.Prefix {
	if ipnet == nil {
		return netip.Prefix{}
	}
	addr, ok := netip.AddrFromSlice(ipnet.IP)
	if !ok {
		return netip.Prefix{}
	}
	ones, _ := ipnet.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}

func addrFrom(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

func routesOf(routes []netlink.Route) []Route {
	var list []Route
	for _, route := range routes {
		if route.Type == unix.RTN_UNICAST {
			list = append(list, routeOf(route))
		}
	}
	slices.SortFunc(list, compareRoutes)
	return list
}

func routeOf(route netlink.Route) Route {
	r := Route{
		Dst:      prefixOf(route.Dst),
		Gateway:  addrFrom(route.Gw),
		Link:     route.LinkIndex,
		Src:      addrFrom(route.Src),
		Metric:   route.Priority,
		Protocol: int(route.Protocol),
		MTU:      route.MTU,
		OnLink:   route.Flags&unix.RTNH_F_ONLINK != 0,
	}
	if len(route.MultiPath) > 0 { // of an equal-cost route the first hop stands for all
		r.Gateway, r.Link = addrFrom(route.MultiPath[0].Gw), route.MultiPath[0].LinkIndex
	}
	if !r.Dst.IsValid() {
		r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if route.Family == unix.AF_INET6 {
			r.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	return r
}

func compareRoutes(a, b Route) int {
	return cmp.Or(
		cmp.Compare(a.Dst.Addr().BitLen(), b.Dst.Addr().BitLen()),
		a.Dst.Addr().Compare(b.Dst.Addr()),
		cmp.Compare(a.Dst.Bits(), b.Dst.Bits()),
		cmp.Compare(a.Metric, b.Metric),
		cmp.Compare(a.Link, b.Link),
		a.Gateway.Compare(b.Gateway),
		cmp.Compare(a.Protocol, b.Protocol),
	)
}
