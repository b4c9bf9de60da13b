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
// Go's own methods would, and without a buffer while waiting where they would
// need one. Its zero value is of no use.
type rawConn struct {
	mu sync.Mutex // held while the descriptor is written to or shut; guards fd
	fd int        // -1 when shut

	rc syscall.RawConn // for reading, as it knows how to wait

	// Of the reader:
	onIn   func(uintptr) bool
	buf    *[readBuffer]byte
	n      int
	errno  syscall.Errno
	nowait bool
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
	c.rc, c.onIn = rc, c.tryRead
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

// errNothing is returned by readNow when reading would mean waiting.
var errNothing error = syscall.EAGAIN

// readNow is read without waiting: it returns errNothing instead.
func (c *rawConn) readNow() (*[readBuffer]byte, int, error) {
	c.nowait = true
	defer func() { c.nowait = false }()
	return c.read()
}

// read waits until there is something to read and only then takes a buffer.
func (c *rawConn) read() (*[readBuffer]byte, int, error) {
	if err := c.rc.Read(c.onIn); err != nil {
		return nil, 0, err
	}
	b, n, errno := c.buf, c.n, c.errno
	c.buf = nil
	if errno == 0 && n > 0 {
		return b, n, nil
	}
	if b != nil {
		readBuffers.Put(b)
	}
	if errno != 0 {
		return nil, 0, errno
	}
	return nil, 0, io.EOF
}

// tryRead is called by rc.Read each time the descriptor may be readable.
func (c *rawConn) tryRead(fd uintptr) bool {
	b := readBuffers.Get().(*[readBuffer]byte)
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(b)), readBuffer)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			readBuffers.Put(b)
			c.n, c.errno = 0, errno
			return c.nowait
		}
		c.buf, c.n, c.errno = b, int(n), errno
		return true
	}
}

// maxIov is the kernel's limit for one vectored write.
const maxIov = 1024

// write makes one attempt to write p and returns how much was taken.
func (c *rawConn) write(p []byte) (int, error) {
	return c.send(syscall.SYS_SENDTO, unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p)), sendFlags)
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
	n, err := c.send(syscall.SYS_SENDMSG, unsafe.Pointer(&w.header), sendFlags, 0)
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
func (c *rawConn) send(trap uintptr, p unsafe.Pointer, a, b uintptr) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
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
