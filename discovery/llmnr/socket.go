package llmnr

import (
	"context"
	"net"
	"net/netip"
	"time"

	"server22.local/appliance/discovery"
)

// port is that of LLMNR, over UDP and TCP (RFC 4795 §2).
const port = 5355

// A family is an address family.
type family int

const (
	ipv4 family = 4
	ipv6 family = 6
)

var (
	groupIPv4 = netip.MustParseAddr("224.0.0.252")
	groupIPv6 = netip.MustParseAddr("ff02::1:3")
)

func (f family) String() string {
	if f == ipv4 {
		return "IPv4"
	}
	return "IPv6"
}

func (f family) of(addr netip.Addr) bool { return addr.Is4() == (f == ipv4) }

// group is where queries are sent to.
func (f family) group() netip.AddrPort {
	if f == ipv4 {
		return netip.AddrPortFrom(groupIPv4, port)
	}
	return netip.AddrPortFrom(groupIPv6, port)
}

// A socket receives and sends datagrams on one interface.
type socket interface {
	receive(b []byte) (n int, from netip.AddrPort, err error)
	send(b []byte, to netip.AddrPort) error
	SetReadDeadline(time.Time) error
	Close() error
}

// A platform is what the responder needs of the operating system.
type platform interface {
	// multicast opens a socket that hears the group on that interface only,
	// beside those of other programs.
	multicast(i discovery.Interface, f family) (socket, error)
	// asker opens a socket that asks the group from one of its addresses; the
	// sockets of this host do not hear that.
	asker(i discovery.Interface, addr netip.Addr) (socket, error)
	// listen accepts connections to one of its addresses.
	listen(ctx context.Context, i discovery.Interface, addr netip.Addr) (net.Listener, error)
}
