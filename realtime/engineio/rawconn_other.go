//go:build !linux

package engineio

import (
	"errors"
	"net"
)

var errNothing = errors.New("nothing to read")

// rawConn is only known on Linux; elsewhere connections are used by their
// methods.
type rawConn struct{}

type rawWrite struct{}

func newRawConn(net.Conn) *rawConn { return nil }

func (*rawConn) read() (*[readBuffer]byte, int, error) { panic("unreachable: newRawConn returns nil") }

func (*rawConn) readNow() (*[readBuffer]byte, int, error) {
	panic("unreachable: newRawConn returns nil")
}

func (*rawConn) write(*rawWrite, []byte) (int, error) { panic("unreachable: newRawConn returns nil") }

func (*rawConn) writev(*rawWrite, [][]byte) (int, error) {
	panic("unreachable: newRawConn returns nil")
}
