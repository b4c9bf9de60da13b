//go:build !linux || 386 || s390x

package engineio

import "time"

// parking is only known on Linux; elsewhere each WebSocket keeps its
// goroutine.
type parking struct{}

type parked struct{}

func newParking(*Server) *parking { return &parking{} }

func (*parking) enter(*conn)      {}
func (*parking) leave(*conn)      {}
func (*parking) asked(*conn) bool { return false }
func (*parking) park(*conn) bool  { return false }

// release limits how long the connection may be read.
func (*parking) release(c *conn, deadline time.Time) {
	if !deadline.IsZero() {
		c.nc.SetReadDeadline(deadline)
	}
}
