//go:build !linux

package discovery

import (
	"errors"
	"net/netip"
)

// system has no sockets here: the responder is made for Linux.
type system struct{}

func (system) multicast(Interface, family) (socket, error)   { return nil, errors.ErrUnsupported }
func (system) unicast(Interface, netip.Addr) (socket, error) { return nil, errors.ErrUnsupported }
