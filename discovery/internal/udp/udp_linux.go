package udp

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Conn receives and sends datagrams on one interface.
type Conn struct{ *net.UDPConn }

// Receive waits for a datagram. One that does not fit into b is discarded. It
// fails once the socket is closed.
func (c *Conn) Receive(b []byte) (int, netip.AddrPort, error) {
	for {
		n, _, flags, from, err := c.ReadMsgUDPAddrPort(b, nil)
		if err == nil && flags&unix.MSG_TRUNC != 0 {
			continue
		}
		return n, from, err
	}
}

// Send sends one.
func (c *Conn) Send(b []byte, to netip.AddrPort) error {
	_, err := c.WriteToUDPAddrPort(b, to)
	return err
}

// Join hears what is sent to a group on the interface of that index, and sends
// from there. It takes no unicast from others.
func Join(group netip.AddrPort, index int) (*Conn, error) {
	c, err := open(group, index, func(fd int) error { return join(fd, group.Addr(), index) })
	if err != nil {
		return nil, fmt.Errorf("listening to %s: %w", group, err)
	}
	return c, nil
}

// Listen hears what is sent to one address of the host, on the interface of
// that index. The kernel prefers it to sockets that are bound to all.
func Listen(addr netip.AddrPort, index int) (*Conn, error) {
	c, err := open(addr, index, func(int) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	return c, nil
}

func open(bind netip.AddrPort, index int, prepare func(fd int) error) (*Conn, error) {
	domain := unix.AF_INET
	if bind.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "udp")
	defer file.Close() // FilePacketConn makes its own
	if err := set(fd, options(bind.Addr())); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := prepare(fd); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, sockaddr(bind, index)); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return &Conn{conn.(*net.UDPConn)}, nil
}

// sockaddr has the interface as its zone, if it needs one.
func sockaddr(a netip.AddrPort, index int) unix.Sockaddr {
	addr := a.Addr()
	if addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: int(a.Port())}
	}
	sa := &unix.SockaddrInet6{Addr: addr.As16(), Port: int(a.Port())}
	if addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() {
		sa.ZoneId = uint32(index)
	}
	return sa
}

// An option is a socket option: its level, name and value.
type option [3]int

func set(fd int, options []option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			return err
		}
	}
	return nil
}

// options share the port (RFC 6762 §15.1) and set the TTL (§11). What is
// multicast is heard by the programs of this host too.
func options(addr netip.Addr) []option {
	shared := []option{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
	}
	if addr.Is4() {
		return append(shared,
			option{unix.IPPROTO_IP, unix.IP_TTL, 255},
			option{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 255},
			option{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1},
		)
	}
	return append(shared,
		option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
		option{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 255},
		option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255},
		option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 1},
	)
}

func join(fd int, group netip.Addr, index int) error {
	if group.Is6() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index); err != nil {
			return err
		}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
	}
	// Without this, what other sockets of the host join is heard here too.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
		return err
	}
	mreq := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, mreq); err != nil {
		return err
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq)
}
