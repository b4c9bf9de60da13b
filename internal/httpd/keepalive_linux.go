package httpd

import (
	"errors"
	"net"
	"syscall"
)

// What net sets on each connection that it accepts, in seconds.
const (
	keepAliveIdle     = 15
	keepAliveInterval = 15
	keepAliveCount    = 9
)

// listenConfig has connections take the settings of keep-alive over from the
// listener, which spares four system calls for each.
func listenConfig() *net.ListenConfig {
	c := &net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		controlled := raw.Control(func(fd uintptr) { err = keepAlive(int(fd)) })
		return errors.Join(controlled, err)
	}}
	c.SetMultipathTCP(false) // no browser speaks it, and it makes each connection dearer
	return c
}

func keepAlive(fd int) error {
	return errors.Join(
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, keepAliveIdle),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, keepAliveInterval),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepAliveCount),
	)
}
