package engineio

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// Receiver is the application's end of a session.
type Receiver interface {
	// Message takes one message. Messages of a socket come in order and one
	// at a time. While Message runs nothing more is read from this socket,
	// and its heartbeat is patient; other sockets are not held up.
	//
	// What is sent to the same socket meanwhile is written when the last
	// message that has already arrived was taken, or a few milliseconds
	// later if Message takes long.
	Message(m Message)
	// Closed is called exactly once, after the last Message has returned, on
	// a goroutine that holds no lock.
	Closed(reason Reason, err error)
}

// SendOptions says how a packet is sent. The zero value is the usual way.
type SendOptions struct {
	// Volatile drops the packet if the peer is not able to take it now: its
	// connection is congested, or no poll waits.
	Volatile bool
	// Uncompressed sends the packet as it is even where compression was
	// agreed.
	Uncompressed bool
	// Ahead keeps back for a moment what follows the packet over a WebSocket:
	// see "What goes ahead" in the package's documentation.
	Ahead bool
	// Batch collects the sockets that have something to write, so that a
	// broadcast hands them over in one go; nil hands over this one at once.
	// Nothing may be written before Batch.Flush.
	Batch *Batch
}

// Socket is one session of a client. Its methods are safe for concurrent use,
// never block, and may be called from within its Receiver.
type Socket struct {
	server *Server

	// What a broadcast needs of each of its receivers comes first, in as few
	// cache lines as it takes.

	mu      sync.Mutex // guards all that follows up to id; no call leaves the package while it is held
	state   state
	handed  bool  // a flusher or a batch will flush
	writing bool  // somebody is writing to ws, and will look again when done
	late    bool  // listed to be flushed even if the deliverer is not done
	hangup  bool  // shut ws when all is written
	corks   int   // how many will flush when they are done
	ws      *conn // nil while polling
	sendQueue
	restUntil time.Duration // of Server.now: something has gone ahead, and nothing follows before
	candidate *conn         // a WebSocket that wants to take over
	poll      *poll         // the request that waits for packets
	expected  chan struct{} // closed when a poll comes, if a farewell waits for one
	done      chan struct{} // made when asked for
	linger    *time.Timer   // ends a polling session whose farewell nobody fetches
	probed    bool          // the candidate has sent its probe
	posting   bool          // a POST is being served
	awaiting  bool          // a heartbeat is unanswered
	away      time.Time     // when the last request of a polling client was answered

	id       string
	version  wire.Version
	base64   bool // version 3: the client wants no binary payloads
	request  *http.Request
	receiver Receiver

	closed atomic.Bool  // state != open, readable without mu
	parts  atomic.Int32 // what must end before the server forgets the socket

	// delivery is held while messages are given to the receiver. It is taken
	// before mu.
	delivery sync.Mutex

	beat beat // guarded by server.beats.mu
}

// state is the life of a socket: it only grows.
type state int8

const (
	open    state = iota
	closing       // ended for the application; a farewell may be on its way
	gone          // ended for the peer too
)

// ID is the session id. It is a secret between server and client.
func (s *Socket) ID() string { return s.id }

// Protocol is the version of Engine.IO that the client speaks: 4 or 3.
func (s *Socket) Protocol() int { return int(s.version) }

// Request is the request of the handshake, without its body. Its context
// carries the values of the original one and is never cancelled.
func (s *Socket) Request() *http.Request { return s.request }

// RemoteAddr is the address that the handshake came from.
func (s *Socket) RemoteAddr() string { return s.request.RemoteAddr }

// Transport is the name of the transport in use: Polling or WebSocket.
func (s *Socket) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws != nil {
		return WebSocket
	}
	return Polling
}

// QueuedBytes is how much waits to be written.
func (s *Socket) QueuedBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued + s.inFlight
}

// Writable says whether a volatile packet would be sent.
func (s *Socket) Writable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == open && s.writable()
}

// Done is closed when the session has ended, even if a message is still being
// handled then.
func (s *Socket) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.state != open {
			close(s.done)
		}
	}
	return s.done
}

// Send queues a packet. It returns false if the packet was dropped: the socket
// is closed, the packet is volatile and the peer not ready, or the queue is
// full.
func (s *Socket) Send(p *Packet, o SendOptions) bool {
	s.mu.Lock()
	if s.state != open || o.Volatile && !s.writable() {
		s.mu.Unlock()
		s.server.dropped(s, p)
		return false
	}
	if !s.fits(p, s.server.o.Queue.Bytes) {
		s.mu.Unlock()
		return s.overflow(p, o)
	}
	ahead := o.Ahead && s.ws != nil // a poll takes all there is, which spares a round trip
	s.push(item{packet: p, volatile: o.Volatile, plain: o.Uncompressed, ahead: ahead})
	flush := s.schedule()
	s.mu.Unlock()
	if flush {
		s.hand(o.Batch)
	}
	return true
}

// sendControl queues a packet of the protocol, which the queue's limit does
// not concern.
func (s *Socket) sendControl(p *Packet, b *Batch) {
	s.mu.Lock()
	flush := false
	if s.state == open {
		s.push(item{packet: p, plain: true})
		flush = s.schedule()
	}
	s.mu.Unlock()
	if flush {
		s.hand(b)
	}
}

// overflow makes room at the expense of volatile packets, or gives up.
func (s *Socket) overflow(p *Packet, o SendOptions) bool {
	s.mu.Lock()
	purged := s.purgeVolatile()
	fits := s.fits(p, s.server.o.Queue.Bytes)
	s.mu.Unlock()
	for _, q := range purged {
		s.server.dropped(s, q)
	}
	if fits {
		return s.Send(p, o)
	}
	s.server.dropped(s, p)
	if !s.server.o.Queue.DropNewest && !o.Volatile {
		s.end(ReasonQueueFull, errQueueIsFull, abrupt)
	}
	return false
}

// Close ends the session. What was sent before is still written, if the peer
// takes it soon. Receiver.Closed follows with the reason.
func (s *Socket) Close(reason Reason) { s.end(reason, nil, graceful) }

// writable says whether a packet would leave at once; mu is held.
func (s *Socket) writable() bool {
	if s.ws != nil {
		return s.inFlight == 0
	}
	return s.poll != nil
}

// schedule says whether the caller must see to a flush; mu is held.
func (s *Socket) schedule() bool {
	if s.handed || s.writing || s.ws == nil && s.poll == nil {
		return false
	}
	if s.corks > 0 {
		s.flushLate(s.server.now() + lateFlush)
		return false
	}
	if s.rests() {
		return false
	}
	s.handed = true
	return true
}

// hand passes the socket on to be flushed.
func (s *Socket) hand(b *Batch) {
	if b != nil {
		b.sockets = append(b.sockets, s)
		return
	}
	s.server.flushers.add(s)
}

// Cork holds back what is sent to the socket until Uncork, so that it leaves in
// one write: for a goroutine that works through several messages. It is a
// hint, not a lock: after a few milliseconds it leaves anyway. Corks nest and
// may be held by several goroutines; every Cork needs its Uncork.
func (s *Socket) Cork() {
	s.mu.Lock()
	s.corks++
	s.mu.Unlock()
}

// Uncork writes what was held back, if no other cork is left. It does not
// block.
func (s *Socket) Uncork() {
	s.mu.Lock()
	s.corks--
	flush := len(s.queue) > 0 && s.schedule()
	s.mu.Unlock()
	if flush {
		sc := takeScratch()
		s.flush(sc)
		sc.release()
	}
}

// beginDelivery begins a run of messages to the receiver.
func (s *Socket) beginDelivery() {
	s.delivery.Lock()
	s.Cork()
}

// endDelivery ends a run of messages and writes what it caused.
func (s *Socket) endDelivery() {
	s.delivery.Unlock()
	s.Uncork()
}

// packet handles one packet of the peer; delivery is held. It returns false if
// nothing more may follow.
func (s *Socket) packet(p wire.Packet, owned bool) bool {
	if s.closed.Load() {
		return false
	}
	switch p.Type {
	case wire.Message:
		if hook := s.server.o.Hooks.Received; hook != nil {
			hook(s, len(p.Data))
		}
		s.receiver.Message(Message{Data: p.Data, Binary: p.Binary, Owned: owned})
	case wire.Ping, wire.Pong:
		return s.heartbeat(p)
	case wire.Close:
		s.peerCloses()
		return false
	}
	return true
}

// peerCloses handles the peer's close packet. A poll that waits is released by
// a noop, a WebSocket closed.
func (s *Socket) peerCloses() {
	s.mu.Lock()
	ws := s.ws
	s.mu.Unlock()
	if ws != nil {
		s.end(ReasonTransportClose, errPeerClosed, abrupt)
		return
	}
	s.awaitPoll()
	s.end(ReasonTransportClose, errPeerClosed, byPeer)
}

// ending is how a session ends.
type ending int8

const (
	graceful ending = iota // write what is queued, say goodbye
	abrupt                 // drop what is queued, say goodbye
	byPeer                 // the peer has said goodbye
	broken                 // there is nobody to say goodbye to
)

// end ends the session once; later calls do nothing.
func (s *Socket) end(reason Reason, err error, how ending) {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return
	}
	s.state = closing
	s.closed.Store(true)
	if s.done != nil {
		close(s.done)
	}
	candidate, ws := s.candidate, s.ws
	if how == graceful {
		candidate = nil // it may still fetch the farewell
	} else {
		s.candidate = nil
	}
	if how == abrupt || how == broken {
		s.clear()
	}
	s.mu.Unlock()

	s.server.beats.remove(s)
	if candidate != nil {
		candidate.shut()
	}
	s.server.crew.Work(func() { s.finish(reason, err) })
	if ws != nil {
		ws.farewell(how, err)
	} else {
		s.farewellPolling(how)
	}
}

// finish tells the receiver, after the delivery that may be going on.
func (s *Socket) finish(reason Reason, err error) {
	s.delivery.Lock()
	s.receiver.Closed(reason, err)
	s.delivery.Unlock()
	s.server.closedSocket(s, reason, err)
	s.part()
}

// part counts down what must end before the server forgets the socket.
func (s *Socket) part() {
	if s.parts.Add(-1) == 0 {
		s.server.forget(s)
	}
}

// vanish says that the transport is gone.
func (s *Socket) vanish() {
	s.mu.Lock()
	was := s.state
	s.state = gone
	s.refusePoll(CodeUnknownSession, "") // it came amid the end
	if !s.hangup {
		s.clear()
	}
	if s.linger != nil {
		s.linger.Stop()
	}
	s.mu.Unlock()
	if was != gone {
		s.server.remove(s)
		s.part()
	}
}
