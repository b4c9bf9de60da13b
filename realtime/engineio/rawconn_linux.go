package engineio

import (
	"io"
	"net"
	"syscall"
	"unsafe"
)

// rawConn reads and writes a connection's descriptor without waiting where
// Go's own methods would, and without a buffer while waiting where they would
// need one.
type rawConn struct {
	rc     syscall.RawConn
	onIn   func(uintptr) bool
	buf    *[readBuffer]byte
	n      int
	errno  syscall.Errno
	nowait bool
}

// rawWrite is one system call that writes.
type rawWrite struct {
	p     []byte
	iov   []syscall.Iovec
	n     int
	errno syscall.Errno
	fn    func(uintptr) bool
}

// maxIov is the kernel's limit for one writev.
const maxIov = 1024

// newRawConn returns nil if nc has no descriptor of its own, as TLS and
// in-memory connections do not.
func newRawConn(nc net.Conn) *rawConn {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	c := &rawConn{rc: rc}
	c.onIn = c.tryRead
	return c
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

// write makes one attempt to write p and returns how much was taken.
func (c *rawConn) write(w *rawWrite, p []byte) (int, error) {
	if w.fn == nil {
		w.fn = w.try
	}
	w.p = p
	err := c.rc.Write(w.fn)
	w.p = nil
	return w.result(err)
}

// writev is write for several pieces.
func (c *rawConn) writev(w *rawWrite, segments [][]byte) (int, error) {
	if w.fn == nil {
		w.fn = w.try
	}
	w.iov = w.iov[:0]
	for _, b := range segments[:min(len(segments), maxIov)] {
		v := syscall.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		w.iov = append(w.iov, v)
	}
	err := c.rc.Write(w.fn)
	clear(w.iov)
	w.iov = w.iov[:0]
	return w.result(err)
}

func (w *rawWrite) result(err error) (int, error) {
	switch {
	case err != nil:
		return 0, err
	case w.errno == syscall.EAGAIN:
		return 0, nil
	case w.errno != 0:
		return 0, w.errno
	default:
		return w.n, nil
	}
}

func (w *rawWrite) try(fd uintptr) bool {
	for {
		var n uintptr
		if w.p != nil {
			n, _, w.errno = syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.p))), uintptr(len(w.p)))
		} else {
			n, _, w.errno = syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.iov))), uintptr(len(w.iov)))
		}
		if w.errno == syscall.EINTR {
			continue
		}
		w.n = int(n)
		return true
	}
}
