package engineio

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

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
	work     Worker // guarded by delivery: what the message has left to do

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
