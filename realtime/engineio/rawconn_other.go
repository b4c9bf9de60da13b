//go:build !linux || 386 || s390x

package engineio

import (
	"errors"
	"net"
)

var errNothing = errors.New("nothing to read")

// rawConn is only known on Linux; elsewhere connections are used by their
// methods.
type rawConn struct{}

type iovecs struct{}

const unusable = "unreachable: usable returns false"

func (*rawConn) init(net.Conn) {}
func (*rawConn) usable() bool  { return false }
func (*rawConn) shut()         {}
func (*rawConn) parting()      {}

func (*rawConn) read([]byte) (int, error)              { panic(unusable) }
func (*rawConn) write([]byte) (int, error)             { panic(unusable) }
func (*rawConn) writev(*iovecs, [][]byte) (int, error) { panic(unusable) }
