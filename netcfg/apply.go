package netcfg

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Apply makes the changes in the kernel (NET_ADMIN), in their order. It goes on
// after one that fails, and returns the errors of all that did. A change that
// somebody else has made meanwhile is none.
func Apply(kernel *netlink.Handle, changes []Change) error {
	var errs []error
	for _, change := range changes {
		if err := change.apply(kernel); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", change, err))
		}
	}
	return errors.Join(errs...)
}

func (c Change) apply(kernel *netlink.Handle) error {
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: c.Index}}
	switch c.Op {
	case SetUp:
		return kernel.LinkSetUp(link)
	case SetMTU:
		return kernel.LinkSetMTU(link, c.MTU)
	case AddAddr, RefreshAddr:
		return kernel.AddrReplace(link, c.Addr.netlink())
	case RemoveAddr:
		return unless(kernel.AddrDel(link, c.Addr.netlink()), unix.EADDRNOTAVAIL, unix.ENODEV)
	case AddRoute:
		return unless(kernel.RouteAdd(c.Route.netlink(c.Index)), unix.EEXIST)
	case RemoveRoute:
		return unless(kernel.RouteDel(c.Route.netlink(c.Index)), unix.ESRCH, unix.ENODEV)
	}
	return fmt.Errorf("unknown operation %q", c.Op)
}

// unless makes errors that say "it is so already" none.
func unless(err error, done ...unix.Errno) error {
	for _, errno := range done {
		if errors.Is(err, errno) {
			return nil
		}
	}
	return err
}

func (w WantedAddr) netlink() *netlink.Addr {
	life := lifetime(w.Valid)
	addr := &netlink.Addr{
		IPNet:       ipnet(w.Prefix),
		Protocol:    int(w.Origin),
		ValidLft:    life,
		PreferedLft: life,
	}
	if w.Broadcast.IsValid() {
		addr.Broadcast = w.Broadcast.AsSlice()
	}
	if w.NoPrefixRoute {
		addr.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	if w.Prefix.Addr().IsLinkLocalUnicast() {
		addr.Scope = unix.RT_SCOPE_LINK
	}
	return addr
}

// lifetime is the seconds until a moment as the kernel wants them: all ones for
// never. What is over gets the least there is.
func lifetime(end time.Time) int {
	if end.IsZero() {
		never := uint32(math.MaxUint32)
		return int(never)
	}
	return int(min(max(math.Ceil(time.Until(end).Seconds()), 1), math.MaxInt32))
}

func (w WantedRoute) netlink(link int) *netlink.Route {
	route := &netlink.Route{
		LinkIndex: link,
		Dst:       ipnet(w.Dst),
		Priority:  w.Metric,
		Protocol:  netlink.RouteProtocol(w.Origin),
		MTU:       w.MTU,
	}
	if w.Gateway.IsValid() {
		route.Gw = w.Gateway.AsSlice()
	} else if w.Dst.Addr().Is4() {
		route.Scope = unix.RT_SCOPE_LINK
	}
	if w.Src.IsValid() {
		route.Src = w.Src.AsSlice()
	}
	if w.OnLink {
		route.Flags |= unix.RTNH_F_ONLINK
	}
	return route
}

func ipnet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}
}
