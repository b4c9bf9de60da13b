package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// system opens the kernel's sockets. The net package cannot: it binds to the
// wildcard where a group is asked for.
type system struct{}

func (system) multicast(i Interface, f family) (socket, error) {
	s, err := open(f, addrPort(i, f.group().Addr()), func(fd int) error {
		if f == ipv4 {
			return joinIPv4(fd, i.Index)
		}
		return joinIPv6(fd, i.Index)
	})
	if err != nil {
		return nil, fmt.Errorf("listening to %s on %s: %w", f.group(), i.Name, err)
	}
	return s, nil
}

func (system) unicast(i Interface, addr netip.Addr) (socket, error) {
	f := ipv6
	if addr.Is4() {
		f = ipv4
	}
	s, err := open(f, addrPort(i, addr), func(int) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", netip.AddrPortFrom(addr, port), err)
	}
	return s, nil
}

// addrPort is the address with the interface as its zone, if it needs one.
func addrPort(i Interface, addr netip.Addr) unix.Sockaddr {
	if addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: port}
	}
	sa := &unix.SockaddrInet6{Addr: addr.As16(), Port: port}
	if addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() {
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
	file := os.NewFile(uintptr(fd), "mdns")
	defer file.Close() // FilePacketConn makes its own
	if err := setOptions(fd, f); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
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

// setOptions shares the port (RFC 6762 §15.1) and sets the TTL (§11).
func setOptions(fd int, f family) error {
	options := [][3]int{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
	}
	if f == ipv4 {
		options = append(options, [][3]int{
			{unix.IPPROTO_IP, unix.IP_TTL, 255},
			{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 255},
			{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1}, // programs of this host ask too
		}...)
	} else {
		options = append(options, [][3]int{
			{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 255},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 1},
		}...)
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			return err
		}
	}
	return nil
}

func joinIPv4(fd, index int) error {
	// Without this, what other sockets of the host join is heard here too.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
		return err
	}
	mreq := &unix.IPMreqn{Multiaddr: groupIPv4.As4(), Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, mreq); err != nil {
		return err
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq)
}

func joinIPv6(fd, index int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index); err != nil {
		return err
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
		&unix.IPv6Mreq{Multiaddr: groupIPv6.As16(), Interface: uint32(index)})
}

// udpSocket is a socket of the kernel.
type udpSocket struct{ *net.UDPConn }

func (s *udpSocket) receive(b []byte) (int, netip.AddrPort, error) {
	for {
		n, _, flags, from, err := s.ReadMsgUDPAddrPort(b, nil)
		if err == nil && flags&unix.MSG_TRUNC != 0 {
			continue
		}
		return n, from, err
	}
}

func (s *udpSocket) send(b []byte, to netip.AddrPort) error {
	_, err := s.WriteToUDPAddrPort(b, to)
	return err
}
