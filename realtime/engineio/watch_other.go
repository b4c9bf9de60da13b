//go:build !linux || 386 || s390x

package engineio

import "time"

// watch is only known on Linux; elsewhere each WebSocket keeps a goroutine.
type watch struct{}

func newWatch(*Server) *watch { return &watch{} }

func (*watch) enter(*conn) bool { return false }
func (*watch) leave(*conn)      {}
func (*watch) relieve(*conn)    {}

// release limits how long the connection may be read.
func (*watch) release(c *conn, deadline time.Time) {
	if !deadline.IsZero() {
		c.nc.SetReadDeadline(deadline)
	}
}
