//go:build !linux

package udp

import (
	"errors"
	"net"
	"net/netip"
)

// Conn does not exist here: multicast DNS is made for Linux.
type Conn struct{ *net.UDPConn }

// Receive receives nothing.
func (c *Conn) Receive([]byte) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, errors.ErrUnsupported
}

// Send sends nothing.
func (c *Conn) Send([]byte, netip.AddrPort) error { return errors.ErrUnsupported }

// Join fails.
func Join(netip.AddrPort, int) (*Conn, error) { return nil, errors.ErrUnsupported }

// Listen fails.
func Listen(netip.AddrPort, int) (*Conn, error) { return nil, errors.ErrUnsupported }
