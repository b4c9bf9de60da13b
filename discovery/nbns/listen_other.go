//go:build !linux

package nbns

import (
	"context"
	"errors"
	"net"

	"server22.local/appliance/discovery"
)

// listen has no way here: the responder is made for Linux.
func listen(context.Context, discovery.Interface) (*net.UDPConn, error) {
	return nil, errors.ErrUnsupported
}
