//go:build !386 && !s390x

package engineio

import (
	"io"
	"net"
	"sync"
	"syscall"
	"unsafe"
)

// rawConn reads and writes a connection's descriptor without waiting where
// Go's own methods would. Its zero value is of no use.
type rawConn struct {
	mu    sync.Mutex // held while the descriptor is written to or shut; guards both
	fd    int        // -1 when shut
	flags uintptr    // of what is sent

	rc syscall.RawConn // for reading, which keeps the descriptor from being closed meanwhile

	// Of the reader:
	onIn  func(uintptr) bool
	p     []byte
	n     int
	errno syscall.Errno
}

// init makes c that of nc, if nc has a descriptor of its own. TLS and in-memory
// connections have none, and what wraps a connection may have its reasons.
// (Architectures on which sockets have no system calls of their own are left
// to Go as well.)
func (c *rawConn) init(nc net.Conn) {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return
	}
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return
	}
	if err := rc.Control(func(fd uintptr) { c.fd = int(fd) }); err != nil {
		return
	}
	c.rc, c.onIn, c.flags = rc, c.tryRead, sendFlags
}

// usable says whether there is a descriptor.
func (c *rawConn) usable() bool { return c.rc != nil }

// shut sees to it that nobody writes to the descriptor any more, before it is
// closed and its number given to another connection.
func (c *rawConn) shut() {
	c.mu.Lock()
	c.fd = -1
	c.mu.Unlock()
}

// parting says that the connection is closed after the next write: what is
// written leaves together with the end of the stream.
func (c *rawConn) parting() {
	c.mu.Lock()
	c.flags |= syscall.MSG_MORE
	c.mu.Unlock()
}

// enter adds the descriptor to an epoll set.
func (c *rawConn) enter(set int, ev *syscall.EpollEvent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	return syscall.EpollCtl(set, syscall.EPOLL_CTL_ADD, c.fd, ev)
}

// errNothing is returned by read when there is nothing to read.
var errNothing error = syscall.EAGAIN

// read makes one attempt to read into p.
func (c *rawConn) read(p []byte) (int, error) {
	c.p = p
	err := c.rc.Read(c.onIn)
	c.p = nil
	switch {
	case err != nil:
		return 0, err
	case c.errno != 0:
		return 0, c.errno
	case c.n == 0:
		return 0, io.EOF
	}
	return c.n, nil
}

// tryRead is called by rc.Read, and says that it need not be called again.
func (c *rawConn) tryRead(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.p))), uintptr(len(c.p)))
		if errno != syscall.EINTR {
			c.n, c.errno = int(n), errno
			return true
		}
	}
}

// maxIov is the kernel's limit for one vectored write.
const maxIov = 1024

// write makes one attempt to write p and returns how much was taken.
func (c *rawConn) write(p []byte) (int, error) {
	return c.send(syscall.SYS_SENDTO, unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p)))
}

// writev is write for several pieces.
func (c *rawConn) writev(w *iovecs, segments [][]byte) (int, error) {
	w.list = w.list[:0]
	for _, b := range segments[:min(len(segments), maxIov)] {
		v := syscall.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		w.list = append(w.list, v)
	}
	w.header.Iov = unsafe.SliceData(w.list)
	w.header.Iovlen = 0
	setLen(&w.header.Iovlen, len(w.list))
	n, err := c.send(syscall.SYS_SENDMSG, unsafe.Pointer(&w.header), 0)
	clear(w.list)
	return n, err
}

// setLen stores a length in a field that is as wide as the architecture.
func setLen[T uint32 | uint64](field *T, n int) { *field = T(n) }

// iovecs is the space that a vectored write needs.
type iovecs struct {
	list   []syscall.Iovec
	header syscall.Msghdr
}

const sendFlags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL

// send makes one system call; those of sockets are quicker than write(2). It
// does not wait, so that it need not tell Go's scheduler.
func (c *rawConn) send(trap uintptr, p unsafe.Pointer, size uintptr) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	a, b := size, c.flags
	if trap == syscall.SYS_SENDMSG {
		a, b = c.flags, 0 // the size is within the message
	}
	for {
		n, _, errno := syscall.RawSyscall6(trap, uintptr(c.fd), uintptr(p), a, b, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EAGAIN:
			return 0, nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
