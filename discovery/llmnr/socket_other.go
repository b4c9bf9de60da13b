//go:build !linux

package llmnr

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"server22.local/appliance/discovery"
)

// system has no sockets here: the responder is made for Linux.
type system struct{}

func (system) multicast(discovery.Interface, family) (socket, error) {
	return nil, errors.ErrUnsupported
}

func (system) asker(discovery.Interface, netip.Addr) (socket, error) {
	return nil, errors.ErrUnsupported
}

func (system) listen(context.Context, discovery.Interface, netip.Addr) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}
