package discovery

import (
	"fmt"
	"net/netip"

	"server22.local/appliance/discovery/internal/udp"
)

// system opens the kernel's sockets.
type system struct{}

func (system) multicast(i Interface, f family) (socket, error) {
	c, err := udp.Join(f.group(), i.Index)
	if err != nil {
		return nil, fmt.Errorf("on %s: %w", i.Name, err)
	}
	return kernelSocket{c}, nil
}

func (system) unicast(i Interface, addr netip.Addr) (socket, error) {
	c, err := udp.Listen(netip.AddrPortFrom(addr, port), i.Index)
	if err != nil {
		return nil, fmt.Errorf("on %s: %w", i.Name, err)
	}
	return kernelSocket{c}, nil
}

// kernelSocket is a socket of the kernel.
type kernelSocket struct{ *udp.Conn }

func (s kernelSocket) receive(b []byte) (int, netip.AddrPort, error) { return s.Receive(b) }
func (s kernelSocket) send(b []byte, to netip.AddrPort) error        { return s.Send(b, to) }
