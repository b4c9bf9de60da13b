package engineio

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/engineio/internal/frame"
	"server22.local/appliance/realtime/engineio/wire"
)

const (
	// readBuffer is the size of the buffers that connections are read into, a
	// few for all: whatever has come is taken in one system call, messages of
	// 64 KB with what goes with them included.
	readBuffer = 128 << 10
	// waitBuffer is the same for those that hold a buffer while they wait.
	waitBuffer = 4 << 10
	// controlSize is what a control frame takes in a send queue: about its
	// memory, which is far more than its bytes.
	controlSize = 256
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
	early      []byte  // came with the handshake's request
	lent       *[]byte // what reader takes apart; from a pool
	discarding bool    // see discard

	// turn is odd while the reading goroutine runs a Worker. Who makes it even
	// is the reading goroutine from then on.
	turn atomic.Uint32

	// How the reading goroutine learns that there is something to read: from
	// the watch, or by waiting for it.
	watched   atomic.Bool
	attention attention
	ending    atomic.Bool // the peer has ended its side
	slot      int32       // index in watch.slots, plus one; guarded by watch.mu
	final     bool        // not to be watched any more; guarded by watch.mu
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

// Work reads what has come, and on if the connection is not watched any more.
// It is called by members of the crew.
func (c *conn) Work() {
	if c.readArrived() {
		c.readLoop()
	}
}

// readArrived reads what has come, until the connection ends, nothing is left,
// or another goroutine reads. It returns true if the connection is not watched
// any more, and somebody has to wait for its end.
func (c *conn) readArrived() (on bool) {
	for c.watched.Load() {
		err := c.readReady()
		if err == nil && c.attention.rest() || err == errRelieved {
			return false // c belongs to another goroutine now
		}
		if err != nil {
			c.ended(err)
			return false
		}
	}
	return true
}

// readReady handles all that has come.
func (c *conn) readReady() error {
	if c.lent != nil {
		if err := c.handle(); err != nil {
			return err
		}
	}
	for {
		more, err := c.readSome(c.raw.read, &readBuffers)
		if err == errNothing {
			return nil
		}
		if err != nil || !more && !c.ending.Load() {
			return err
		}
	}
}

// readLoop waits and reads until the connection is watched or ends.
func (c *conn) readLoop() {
	if c.early != nil {
		c.reader.Feed(c.early)
		c.early = nil
	}
	for err := c.handle(); ; _, err = c.readSome(c.nc.Read, &waitBuffers) {
		if err == nil && c.joined && c.server.watch.enter(c) || err == errRelieved {
			return // c belongs to another goroutine now
		}
		if err != nil {
			c.ended(err)
			return
		}
	}
}

// readSome reads by read, once, and handles what the bytes complete. There may
// be more if they took all the space there was.
func (c *conn) readSome(read func([]byte) (int, error), buffers *sync.Pool) (more bool, err error) {
	if direct := c.reader.Direct(); direct != nil && !c.discarding {
		n, err := read(direct)
		if err != nil {
			return false, err
		}
		c.reader.Filled(n)
		return n == len(direct), c.handle()
	}
	b := buffers.Get().(*[]byte)
	n, err := read(*b)
	if err != nil {
		buffers.Put(b)
		return false, err
	}
	c.lent = b
	c.reader.Feed((*b)[:n])
	return n == len(*b), c.handle()
}

var (
	readBuffers = sync.Pool{New: func() any { return newBuffer(readBuffer) }}
	waitBuffers = sync.Pool{New: func() any { return newBuffer(waitBuffer) }}
)

func newBuffer(size int) *[]byte {
	b := make([]byte, size)
	return &b
}

// giveBack returns the buffer that was read into.
func (c *conn) giveBack() {
	switch {
	case c.lent == nil:
	case len(*c.lent) == readBuffer:
		readBuffers.Put(c.lent)
	default:
		waitBuffers.Put(c.lent)
	}
	c.lent = nil
}

// shut closes the connection; whoever reads from it notices, unless it is
// watched.
func (c *conn) shut() {
	c.raw.shut()
	c.nc.Close()
}

// close closes the connection and sees to it that its reader notices.
func (c *conn) close() {
	c.shut()
	c.server.watch.release(c, time.Time{})
}

var (
	errFinished = errors.New("nothing more to read")
	errRelieved = errors.New("another goroutine reads")
)

// handle handles what was read.
func (c *conn) handle() error {
	if c.discarding {
		c.reader.Feed(nil)
	}
	err := c.events()
	if err != errRelieved {
		c.giveBack()
	}
	return err
}

// events takes the events out of what was read. What they cause leaves in one
// write.
func (c *conn) events() error {
	var heard *Socket
	defer func() {
		if heard != nil {
			heard.Uncork()
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
		if c.joined && heard == nil {
			heard = c.socket
			heard.heard()
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
	return c.deliver(p, ev.Owned)
}

// deliver gives a packet to the session, and does the work that is left.
func (c *conn) deliver(p wire.Packet, owned bool) error {
	s := c.socket
	s.delivery.Lock()
	s.packet(p, owned)
	w := s.takeWork()
	s.delivery.Unlock()
	if w == nil {
		return nil
	}
	if c.reader.Empty() {
		c.giveBack() // work may take long
	}
	turn := c.turn.Add(1) // before flushSoon: whoever sees the list may come at once, and once only
	s.mu.Lock()
	s.flushSoon()
	s.mu.Unlock()
	w.Work()
	if !c.turn.CompareAndSwap(turn, turn+1) {
		return errRelieved
	}
	return nil
}

// relieve starts another reader if the present one is at work, and another
// watcher if that is the watcher. It will find out when it is done.
func (c *conn) relieve() {
	turn := c.turn.Load()
	if turn%2 == 1 && c.turn.CompareAndSwap(turn, turn+1) {
		c.server.crew.Work(c)
	}
	c.server.watch.relieve(c)
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
		s.push(item{packet: &Packet{flat: f, size: controlSize}, plain: true})
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
	c.raw.parting()
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
	s.server.watch.release(c, time.Now().Add(closeWait))
}

// ended ends the session of a connection that cannot be read any more, and
// cleans up after the reader.
func (c *conn) ended(err error) {
	c.server.watch.leave(c)
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
		time.AfterFunc(closeWait, c.shut) // however slowly the peer takes one frame after the other
		return
	}
	c.shut()
}
