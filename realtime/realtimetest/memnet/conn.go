package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

var (
	errCut     = errors.New("connection was cut")
	errOffline = errors.New("network is unplugged")
)

// conn is one end of a connection.
type conn struct {
	in, out       *stream
	listener      *Listener
	local, remote addr
	read, write   deadline
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p, &c.read) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p, &c.write) }
func (c *conn) LocalAddr() net.Addr         { return c.local }
func (c *conn) RemoteAddr() net.Addr        { return c.remote }

// Close lets the peer read what was written, then the end.
func (c *conn) Close() error {
	c.listener.forget(c)
	c.in.end(net.ErrClosed, io.ErrClosedPipe)
	c.out.end(io.EOF, net.ErrClosed)
	c.SetDeadline(time.Time{}) // stops the timers
	return nil
}

func (c *conn) fail(err error) {
	c.in.drop(err)
	c.out.drop(err)
}

func (c *conn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.read.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.write.set(t)
	return nil
}

// window is how many bytes a stream holds.
const window = 256 << 10

// stream carries bytes in one direction.
type stream struct {
	mu       sync.Mutex // guards all following fields
	buf      []byte
	readErr  error         // once buf is empty
	writeErr error         // from now on
	changed  chan struct{} // closed and replaced at each change
}

func newStream() *stream { return &stream{changed: make(chan struct{})} }

// announce wants s.mu held.
func (s *stream) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) read(p []byte, d *deadline) (int, error) {
	for {
		passed := d.passed()
		if isClosed(passed) {
			return 0, os.ErrDeadlineExceeded
		}
		n, changed, err := s.tryRead(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		select {
		case <-changed:
		case <-passed:
		}
	}
}

func (s *stream) tryRead(p []byte) (n int, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf) == 0 {
		return 0, s.changed, s.readErr
	}
	n = copy(p, s.buf)
	if s.buf = s.buf[n:]; len(s.buf) == 0 {
		s.buf = nil
	}
	s.announce()
	return n, nil, nil
}

func (s *stream) write(p []byte, d *deadline) (written int, err error) {
	for {
		passed := d.passed()
		if isClosed(passed) {
			return written, os.ErrDeadlineExceeded
		}
		n, changed, err := s.tryWrite(p[written:])
		if written += n; err != nil || written == len(p) {
			return written, err
		}
		select {
		case <-changed:
		case <-passed:
		}
	}
}

func (s *stream) tryWrite(p []byte) (n int, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeErr != nil {
		return 0, nil, s.writeErr
	}
	n = min(len(p), window-len(s.buf))
	if n > 0 {
		s.buf = append(s.buf, p[:n]...)
		s.announce()
	}
	return n, s.changed, nil
}

// end sets what reading and writing meet. The first end stays, except that
// one's own Close comes before the peer's.
func (s *stream) end(read, write error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr == nil || read == net.ErrClosed {
		s.readErr = read
	}
	if s.writeErr == nil || write == net.ErrClosed {
		s.writeErr = write
	}
	if read == net.ErrClosed {
		s.buf = nil
	}
	s.announce()
}

// drop loses what is under way.
func (s *stream) drop(err error) {
	s.mu.Lock()
	s.buf = nil
	s.mu.Unlock()
	s.end(err, err)
}

// deadline is a channel that is closed at a time that can be moved.
type deadline struct {
	mu    sync.Mutex // guards all following fields
	timer *time.Timer
	done  chan struct{}
}

func (d *deadline) passed() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
	}
	return d.done
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.done // the timer has fired: it is closed, or about to be
	}
	d.timer = nil
	if d.done == nil || isClosed(d.done) {
		d.done = make(chan struct{})
	}
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		close(d.done)
	default:
		done := d.done
		d.timer = time.AfterFunc(wait, func() { close(done) })
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
