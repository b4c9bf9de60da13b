package realtime

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
)

// Socket is a client's end in one namespace. Its methods are safe for
// concurrent use and do not block.
type Socket struct {
	conn     *conn
	state    atomic.Int32 // beside conn, since a broadcast asks of each receiver these three
	outgoing list[func(*Socket, string, Args)]

	ns   *Namespace // nil until the namespace is known
	name string     // of the namespace
	id   string
	pid  string // private id, with which a client recovers; "" where nothing is recovered
	seat adapter.Seat
	own  atomic.Pointer[registry] // handlers of this socket alone

	inbox inbox

	mu        sync.Mutex // guards all following, and that ns is set; taken after the server's, before the adapter's
	early     []*engineio.Packet
	rooms     []string // to be joined when connected
	done      chan struct{}
	acks      map[uint64]func([]Value, error)
	data      map[string]any
	auth      Value
	query     string // of Socket.IO 2: belongs to the namespace
	issued    time.Time
	handshake *Handshake
	start     string // offset of the namespace when this socket connected
	recovered bool
	cause     error         // what has ended the connection, in detail
	gone      chan struct{} // closed when nothing of the socket is left, if somebody waits
}

// The states of a socket only grow.
const (
	connecting int32 = iota // middlewares decide
	joining                 // in its rooms, but not told so yet: what it receives waits in early
	connected
	ended
)

func newSocket(c *conn, namespace string) *Socket {
	s := &Socket{conn: c, name: namespace, issued: time.Now()}
	if c.legacy {
		s.id = c.link.ID()
		if s.name != "/" {
			s.id = s.name + "#" + s.id
		}
		return s
	}
	s.id = newID()
	return s
}

// newID returns 120 random bits as the 20 characters that clients expect.
func newID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *Socket) server() *Server { return s.conn.server }

// ID is the public id of the socket, and the name of a room in which only it
// is. It tells nothing about the session id of the connection.
func (s *Socket) ID() string { return s.id }

// Seat implements adapter.Member; it is the adapter's.
func (s *Socket) Seat() *adapter.Seat { return &s.seat }

// Namespace is where the socket is connected.
func (s *Socket) Namespace() *Namespace { return s.ns }

// Request is the HTTP request with which the connection began.
func (s *Socket) Request() *http.Request { return s.conn.link.Request() }

// Transport is how the client is connected at the moment: "polling",
// "websocket", or "plain".
func (s *Socket) Transport() string { return s.conn.link.Transport() }

// QueuedBytes is what waits to be written to the connection of the socket; see
// engineio.Queue for what happens when it grows.
func (s *Socket) QueuedBytes() int { return s.conn.link.QueuedBytes() }

// Legacy reports whether the client speaks Socket.IO 1 or 2.
func (s *Socket) Legacy() bool { return s.conn.legacy }

// Recovered reports whether the socket goes on with an earlier session: its
// id, rooms and data are those of before, and what it missed was sent.
func (s *Socket) Recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovered
}

// Connected reports whether the socket can receive.
func (s *Socket) Connected() bool { return s.state.Load() == connected }

// Handshake describes how the client came in.
func (s *Socket) Handshake() *Handshake {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handshake == nil {
		s.handshake = newHandshake(s.Request(), s.auth, s.issued, s.query)
	}
	return s.handshake
}

// Auth decodes what the client sent to join the namespace, an object.
func (s *Socket) Auth(into any) error {
	s.mu.Lock()
	auth := s.auth
	s.mu.Unlock()
	return auth.Decode(into)
}

// events implements Events.
func (s *Socket) events() *registry {
	if own := s.own.Load(); own != nil {
		return own
	}
	s.own.CompareAndSwap(nil, new(registry))
	return s.own.Load()
}

// OnAny is like that of the namespace, for this socket.
func (s *Socket) OnAny(fn func(ctx context.Context, e *Event) error) (remove func()) {
	return s.events().OnAny(fn)
}

// UseEvent is like that of the namespace, for this socket.
func (s *Socket) UseEvent(fn func(ctx context.Context, e *Event) error) (remove func()) {
	return s.events().UseEvent(fn)
}

// Off removes the handlers that were put on this socket.
func (s *Socket) Off(event string) { s.events().Off(event) }

// Join puts the socket into rooms. Once it has ended this does nothing.
func (s *Socket) Join(rooms ...string) {
	s.mu.Lock()
	if s.state.Load() == connecting {
		s.rooms = append(s.rooms, rooms...)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.ns.adapter.AddAll(s, rooms...)
}

// Leave takes the socket out of a room.
func (s *Socket) Leave(room string) {
	s.mu.Lock()
	s.rooms = slices.DeleteFunc(s.rooms, func(other string) bool { return other == room })
	s.mu.Unlock()
	s.ns.adapter.Del(s, room)
}

// Rooms returns the rooms of the socket, its id among them.
func (s *Socket) Rooms() []string { return s.ns.adapter.SocketRooms(s) }
