package engineio

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/engineio/internal/frame"
	"server22.local/appliance/realtime/engineio/wire"
)

const (
	// readBuffer is the size of the pooled buffers that connections are read
	// into. None is held while a connection is silent.
	readBuffer = 4 << 10
	// closeWait is how long the peer may take to answer a close frame.
	closeWait = 5 * time.Second
	// flatWrite is the size up to which queued frames are gathered in one
	// buffer; beyond, or when one of them is long, they go by writev.
	flatWrite = 64 << 10
)

// conn is a WebSocket connection.
type conn struct {
	server  *Server
	nc      net.Conn // closed by shut
	head    []byte   // the answer to the upgrade, until it is written; belongs to who writes, or may begin to
	deflate bool
	version wire.Version
	raw     rawConn // of use if nc has a descriptor

	// Of the reading goroutine:
	socket     *Socket
	joined     bool // the session uses this connection; before, it is a candidate
	reader     frame.Reader
	early      []byte // came with the handshake's request
	quiet      bool   // is to be parked as soon as there is nothing to read
	discarding bool   // see discard

	reads  atomic.Uint32 // how often something came
	parked parked        // guarded by server.parking.mu
}

// scratch is what a flush needs and nobody keeps.
type scratch struct {
	items    []item
	segments [][]byte
	flat     []byte
	iovecs   iovecs
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

func (sc *scratch) release() {
	clear(sc.items[:cap(sc.items)])
	clear(sc.segments[:cap(sc.segments)])
	scratches.Put(sc)
}

// segments lists the answer to the upgrade, if that is still to be written, and
// the frames of the items in sc as they go to this connection.
func (c *conn) segments(sc *scratch, dst [][]byte) [][]byte {
	if c.head != nil {
		dst = append(dst, c.head)
		c.head = nil
	}
	for _, it := range sc.items {
		if c.deflate && !it.plain && it.packet.size >= c.server.o.Compression.Threshold {
			dst = append(dst, it.packet.deflatedFrames(c.version))
			continue
		}
		dst = it.packet.appendFrames(dst, c.version)
	}
	return dst
}

// tryWrite writes the items in sc as far as the connection takes them without
// waiting, and returns what it did not take. An error closes the connection.
func (c *conn) tryWrite(sc *scratch) (rest [][]byte, err error) {
	sc.segments = c.segments(sc, sc.segments[:0])
	total := size(sc.segments)
	if hook := c.server.o.Hooks.Sent; hook != nil && len(sc.items) > 0 {
		hook(c.socket, len(sc.items), total)
	}
	if !c.raw.usable() {
		return append([][]byte(nil), sc.segments...), nil
	}
	n, err := c.writeSegments(sc, total)
	if err != nil {
		c.close()
		return nil, err
	}
	if n == total {
		return nil, nil
	}
	return cut(sc.segments, n), nil
}

// writeSegments makes one system call.
func (c *conn) writeSegments(sc *scratch, total int) (int, error) {
	switch {
	case len(sc.segments) == 1:
		return c.raw.write(sc.segments[0])
	case total <= flatWrite:
		sc.flat = sc.flat[:0]
		for _, b := range sc.segments {
			sc.flat = append(sc.flat, b...)
		}
		return c.raw.write(sc.flat)
	default:
		return c.raw.writev(&sc.iovecs, sc.segments)
	}
}

// cut copies what remains of segments after the first n bytes.
func cut(segments [][]byte, n int) (rest [][]byte) {
	for _, b := range segments {
		if n >= len(b) {
			n -= len(b)
			continue
		}
		rest = append(rest, b[n:])
		n = 0
	}
	return rest
}

// writeAll writes and waits, but for no write longer than timeout. An error
// closes the connection.
func (c *conn) writeAll(segments [][]byte, timeout time.Duration) error {
	for _, b := range segments {
		// A deadline on a closed connection fails, and so will the write.
		c.nc.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := c.nc.Write(b); err != nil {
			c.close()
			return err
		}
	}
	return nil
}

// readLoop reads until the connection ends or is parked.
func (c *conn) readLoop() {
	if c.early != nil {
		c.reader.Feed(c.early)
		c.early = nil
		if err := c.handle(); err != nil {
			c.ended(err)
			return
		}
	}
	for {
		err := c.readSome()
		switch {
		case err == nil:
		case err == errNothing, errors.Is(err, os.ErrDeadlineExceeded) && c.server.parking.asked(c):
			c.quiet = false
			if c.reader.Idle() && !c.discarding && c.server.parking.park(c) {
				return // c belongs to another goroutine now
			}
		default:
			c.ended(err)
			return
		}
	}
}

// readSome waits for bytes and handles what they complete.
func (c *conn) readSome() error {
	if direct := c.reader.Direct(); direct != nil && !c.discarding {
		n, err := c.nc.Read(direct)
		if err != nil {
			return err
		}
		c.reads.Add(1)
		c.reader.Filled(n)
		return c.handle()
	}
	b, n, err := c.readBuffer()
	if err != nil {
		return err
	}
	defer readBuffers.Put(b)
	c.reads.Add(1)
	c.reader.Feed(b[:n])
	return c.handle()
}

// shut closes the connection; whoever reads from it notices, unless it is
// parked.
func (c *conn) shut() {
	c.raw.shut()
	c.nc.Close()
}

// close closes the connection and sees to it that its reader notices.
func (c *conn) close() {
	c.shut()
	c.server.parking.release(c, time.Time{})
}

var readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// readBuffer waits for bytes and returns them in a buffer from readBuffers.
func (c *conn) readBuffer() (b *[readBuffer]byte, n int, err error) {
	switch {
	case c.quiet:
		return c.raw.readNow()
	case c.raw.usable():
		return c.raw.read()
	}
	b = readBuffers.Get().(*[readBuffer]byte)
	n, err = c.nc.Read(b[:])
	if err != nil {
		readBuffers.Put(b)
	}
	return b, n, err
}

var errFinished = errors.New("nothing more to read")

// handle takes the events out of what was read.
func (c *conn) handle() error {
	if c.discarding {
		c.reader.Feed(nil)
		return nil
	}
	corked := false
	defer func() {
		if corked {
			c.socket.endDelivery()
		}
	}()
	for {
		ev, ok, err := c.reader.Next()
		if err != nil {
			return c.violation(err)
		}
		if !ok {
			return nil
		}
		if c.joined && !corked {
			c.socket.beginDelivery()
			corked = true
		}
		if err := c.event(ev); err != nil {
			return err
		}
	}
}

// event handles a message or a control frame.
func (c *conn) event(ev frame.Event) error {
	switch ev.Op {
	case frame.Ping:
		c.control(frame.Append(nil, frame.Pong, ev.Data))
		return nil
	case frame.Pong:
		return nil
	case frame.Close:
		return c.closeFrame(ev.Data)
	}
	p, err := wire.ParseFrame(c.version, ev.Op == frame.Binary, ev.Data)
	if err != nil {
		return c.malformed(err)
	}
	if !c.joined {
		return c.candidatePacket(p)
	}
	c.socket.packet(p, ev.Owned)
	return nil
}

// control queues a control frame. It overtakes nothing.
func (c *conn) control(f []byte) {
	if !c.joined {
		c.writeAll([][]byte{f}, c.server.o.UpgradeTimeout)
		return
	}
	s := c.socket
	s.mu.Lock()
	if s.state == open && s.queued+s.inFlight < s.server.o.Queue.Bytes {
		s.push(item{packet: &Packet{flat: f, size: len(f)}, plain: true})
	}
	s.mu.Unlock()
}

// closeFrame handles the peer's farewell, or its answer to ours.
func (c *conn) closeFrame(payload []byte) error {
	code, err := frame.ParseClose(payload)
	if err != nil {
		return c.violation(err)
	}
	if !c.joined {
		c.control(frame.AppendClose(nil, code))
		return errFinished
	}
	if !c.socket.closed.Load() {
		c.reply(code)
		c.socket.end(ReasonTransportClose, errPeerClosed, byPeer)
	}
	return errFinished
}

// reply answers the peer's close frame, after what is queued, if the peer
// takes it at once.
func (c *conn) reply(code int) {
	s := c.socket
	s.mu.Lock()
	s.push(item{packet: &Packet{flat: frame.AppendClose(nil, code)}, plain: true})
	s.restUntil = 0 // the peer listens no more
	s.mu.Unlock()
	sc := takeScratch()
	s.flush(sc)
	sc.release()
}

// violation answers a breach of the WebSocket protocol.
func (c *conn) violation(err error) error {
	if !c.joined {
		if v, ok := errors.AsType[*frame.Error](err); ok {
			c.control(frame.AppendClose(nil, v.Code))
		}
		return err
	}
	c.socket.end(ReasonTransportError, err, abrupt)
	c.discard()
	return nil
}

// malformed answers a breach of the Engine.IO protocol.
func (c *conn) malformed(err error) error {
	if !c.joined {
		return err
	}
	c.socket.end(ReasonParseError, err, abrupt)
	c.discard()
	return nil
}

// discard has the reader go on to the end of the stream and heed nothing of it:
// a connection that is closed with bytes unread is reset, and the peer would
// miss the close frame.
func (c *conn) discard() {
	c.discarding = true
	c.reader.Release()
}

// farewell says goodbye as the ending asks for. The connection is closed by
// its reader, when the peer has answered or closeWait is over.
func (c *conn) farewell(how ending, cause error) {
	switch how {
	case byPeer:
		return
	case broken:
		c.close()
		return
	}
	code := frame.CodeNone
	if v, ok := errors.AsType[*frame.Error](cause); ok {
		code = v.Code
	}
	s := c.socket
	s.mu.Lock()
	s.push(item{packet: &Packet{flat: frame.AppendClose(nil, code)}, plain: true})
	s.mu.Unlock()
	s.server.flushers.add(s)
	s.server.parking.release(c, time.Now().Add(closeWait))
}

// ended ends the session of a connection that cannot be read any more, and
// cleans up after the reader.
func (c *conn) ended(err error) {
	c.server.parking.leave(c)
	c.reader.Release()
	if c.joined {
		c.socket.end(ReasonTransportClose, err, broken)
		c.hangUp()
		c.socket.vanish()
		return
	}
	c.shut()
	if c.socket != nil {
		c.socket.dropCandidate(c)
	}
}

// hangUp closes the connection, or has it closed by whoever is writing the
// last frames.
func (c *conn) hangUp() {
	s := c.socket
	s.mu.Lock()
	s.hangup = s.writing
	writing := s.writing
	s.mu.Unlock()
	if writing {
		c.nc.SetWriteDeadline(time.Now().Add(closeWait))
		return
	}
	c.shut()
}
