package discovery

import (
	"log/slog"
	"net/netip"
)

// port is that of multicast DNS (RFC 6762 §3).
const port = 5353

// A family is an address family. Multicast DNS over IPv4 and over IPv6 are two
// links, even on one interface: each has its own listeners.
type family int

const (
	ipv4 family = 4
	ipv6 family = 6
)

var (
	groupIPv4 = netip.MustParseAddr("224.0.0.251")
	groupIPv6 = netip.MustParseAddr("ff02::fb")
)

func (f family) String() string {
	if f == ipv4 {
		return "IPv4"
	}
	return "IPv6"
}

func (f family) of(addr netip.Addr) bool { return addr.Is4() == (f == ipv4) }

// group is where multicast DNS is sent to.
func (f family) group() netip.AddrPort {
	if f == ipv4 {
		return netip.AddrPortFrom(groupIPv4, port)
	}
	return netip.AddrPortFrom(groupIPv6, port)
}

// overhead is the size of the IP and UDP headers.
func (f family) overhead() int {
	if f == ipv4 {
		return 20 + 8
	}
	return 40 + 8
}

// A socket receives and sends datagrams on one interface.
type socket interface {
	// receive waits for a datagram. One that does not fit into b is
	// discarded. It fails once the socket is closed.
	receive(b []byte) (n int, from netip.AddrPort, err error)
	// send sends one, with a TTL or hop limit of 255.
	send(b []byte, to netip.AddrPort) error
	Close() error
}

// A platform is what the engine needs of the operating system.
//
// Multicast is handed to every socket on the port, unicast to one of them: the
// one bound to the very address, if there is one, and else the youngest. A
// socket for each address is therefore what gets legacy, QU and direct unicast
// queries to this responder, whoever else browses on this host; and a group
// socket bound to the group's address does not take unicast from others.
type platform interface {
	// multicast opens a socket that hears the group on that interface only
	// and sends from there.
	multicast(i Interface, f family) (socket, error)
	// unicast opens a socket for what is sent to one of its addresses.
	unicast(i Interface, addr netip.Addr) (socket, error)
	// watchSleep returns a channel that has a token after the host has slept;
	// stop ends the watch.
	watchSleep(*slog.Logger) (resumed <-chan struct{}, stop func())
}
