package llmnr

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"server22.local/appliance/discovery"
)

// system opens the kernel's sockets. The net package cannot bind to a group.
type system struct{}

func (system) multicast(i discovery.Interface, f family) (socket, error) {
	options := append([]option{{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}}, hops(f, 255)...)
	s, err := open(f, sockaddr(i, f.group()), func(fd int) error {
		if err := set(fd, options); err != nil {
			return err
		}
		return join(fd, i.Index, f)
	})
	if err != nil {
		return nil, fmt.Errorf("listening to %s on %s: %w", f.group(), i.Name, err)
	}
	return s, nil
}

func (system) asker(i discovery.Interface, addr netip.Addr) (socket, error) {
	f := ipv6
	if addr.Is4() {
		f = ipv4
	}
	s, err := open(f, sockaddr(i, netip.AddrPortFrom(addr, 0)), func(fd int) error {
		if err := set(fd, hops(f, 255)); err != nil {
			return err
		}
		return aim(fd, i.Index, f)
	})
	if err != nil {
		return nil, fmt.Errorf("asking from %s on %s: %w", addr, i.Name, err)
	}
	return s, nil
}

// listen makes connections that do not reach beyond the link: their TTL is 1
// from the first packet on (RFC 4795 §2.5).
func (system) listen(ctx context.Context, i discovery.Interface, addr netip.Addr) (net.Listener, error) {
	f := ipv6
	if addr.Is4() {
		f = ipv4
	} else if addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(strconv.Itoa(i.Index))
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		if err := c.Control(func(fd uintptr) { failed = set(int(fd), hops(f, 1)) }); err != nil {
			return err
		}
		return failed
	}}
	return config.Listen(ctx, "tcp", netip.AddrPortFrom(addr, port).String())
}

// sockaddr has the interface as its zone, if it needs one.
func sockaddr(i discovery.Interface, a netip.AddrPort) unix.Sockaddr {
	if addr := a.Addr(); addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: int(a.Port())}
	}
	sa := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if a.Addr().IsLinkLocalUnicast() || a.Addr().IsLinkLocalMulticast() {
		sa.ZoneId = uint32(i.Index)
	}
	return sa
}

func open(f family, bind unix.Sockaddr, prepare func(fd int) error) (*udpSocket, error) {
	domain := unix.AF_INET
	if f == ipv6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "llmnr")
	defer file.Close() // FilePacketConn makes its own
	if err := prepare(fd); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, bind); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return &udpSocket{conn.(*net.UDPConn)}, nil
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

// hops limits how far packets go.
func hops(f family, limit int) []option {
	if f == ipv4 {
		return []option{{unix.IPPROTO_IP, unix.IP_TTL, limit}}
	}
	return []option{{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1}, {unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, limit}}
}

// join subscribes to the group on one interface.
func join(fd, index int, f family) error {
	if f == ipv6 {
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: groupIPv6.As16(), Interface: uint32(index)})
	}
	// Without this, what other sockets of the host join is heard here too.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
		return err
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
		&unix.IPMreqn{Multiaddr: groupIPv4.As4(), Ifindex: int32(index)})
}

// aim sends what is multicast out of one interface, past this host.
func aim(fd, index int, f family) error {
	if f == ipv6 {
		return set(fd, []option{
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
		})
	}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)}); err != nil {
		return err
	}
	return set(fd, []option{{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 255}, {unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0}})
}

// udpSocket is a socket of the kernel.
type udpSocket struct{ *net.UDPConn }

func (s *udpSocket) receive(b []byte) (int, netip.AddrPort, error) {
	n, from, err := s.ReadFromUDPAddrPort(b)
	return n, from, err
}

func (s *udpSocket) send(b []byte, to netip.AddrPort) error {
	_, err := s.WriteToUDPAddrPort(b, to)
	return err
}
