package realtime

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// Socket is a client's end in one namespace. Its methods are safe for
// concurrent use and, with the exception of Ask, do not block.
type Socket struct {
	conn  *conn
	state atomic.Int32 // beside conn, since a broadcast asks both of each receiver

	ns   *Namespace // nil until the namespace is known
	name string     // of the namespace
	id   string
	pid  string // private id, with which a client recovers; "" where nothing is recovered
	seat adapter.Seat
	own  atomic.Pointer[registry] // handlers of this socket alone

	inbox inbox

	mu        sync.Mutex // guards all following; taken before the adapter's
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

// Cause is what has ended the connection, and the socket with it, in more
// detail than the reason that OnDisconnect gets: the error of the network, or
// what was wrong with the client's packet. It is nil before, and where there is
// nothing more to say.
func (s *Socket) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

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

// Set keeps a value with the socket. A namespace with recovery keeps it with
// the session if it can be encoded as JSON.
func (s *Socket) Set(key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		s.data = make(map[string]any)
	}
	s.data[key] = value
}

// Get returns a value that was kept with the socket. If the session was
// recovered in another process it is a json.RawMessage; see the function Get.
func (s *Socket) Get(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.data[key]
	return v, ok
}

// Data returns a copy of all that was kept with the socket.
func (s *Socket) Data() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.data)
}

// Get returns a value that was kept with a socket if it is a T, or can be
// decoded into one after a recovery.
func Get[T any](s *Socket, key string) (value T, ok bool) {
	v, _ := s.Get(key)
	if raw, isRaw := v.(json.RawMessage); isRaw {
		if _, wanted := any(value).(json.RawMessage); !wanted {
			return value, json.Unmarshal(raw, &value) == nil
		}
	}
	value, ok = v.(T)
	return value, ok
}

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
func (s *Socket) Leave(room string) { s.ns.adapter.Del(s, room) }

// Rooms returns the rooms of the socket, its id among them.
func (s *Socket) Rooms() []string { return s.ns.adapter.SocketRooms(s) }

// Disconnect ends the socket: the client is told, and does not come back by
// itself. Its other namespaces go on. OnDisconnect follows.
func (s *Socket) Disconnect() { s.leave(ReasonServerDisconnect) }

// DisconnectAll is Disconnect for this socket and all others that share its
// connection, and ends the connection.
func (s *Socket) DisconnectAll() {
	s.leave(ReasonServerDisconnect)
	for _, other := range s.conn.all() {
		other.leave(ReasonServerDisconnect)
	}
	s.conn.link.Close(ReasonForcedServer)
}

// Drop ends the connection with all its sockets, and tells none of them: the
// clients take it for a lost connection, and come back by themselves.
func (s *Socket) Drop() { s.conn.link.Close(ReasonForcedServer) }

func (s *Socket) leave(reason Reason) {
	if s.state.Load() == ended {
		return
	}
	_ = s.transmit(&packet.Packet{Type: packet.Disconnect, Namespace: s.name}, sendFlags{}) // it may be gone already
	s.inbox.close()
	s.conn.remove(s)
	s.end(reason, nil)
}

// end ends the socket once. What was received before is still handled, unless
// the inbox was closed; then OnDisconnect runs.
func (s *Socket) end(reason Reason, cause error) {
	s.mu.Lock()
	before := s.state.Swap(ended)
	if before == ended {
		s.mu.Unlock()
		return
	}
	if s.done != nil {
		close(s.done)
	}
	s.early, s.cause = nil, cause
	acks, ns := s.acks, s.ns
	s.acks = nil
	s.mu.Unlock()
	for _, answer := range acks {
		answer(nil, ErrDisconnected)
	}
	if ns != nil && before != connecting {
		ns.asks.gone(s.id)
	}
	s.inbox.put(s, job{run: func() { s.finish(before, reason) }})
}

// finish runs last of all that happens to the socket.
func (s *Socket) finish(before int32, reason Reason) {
	defer s.server().alive.Done()
	defer s.server().workers.leave()
	if s.ns == nil {
		return
	}
	if before != connecting {
		s.finishConnected(reason)
	}
	s.ns.adapter.DelAll(s)
	s.server().exit(s.ns)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil {
		close(s.gone)
	}
	s.gone = closedChan
}

func (s *Socket) finishConnected(reason Reason) {
	for w := range s.ns.wirings {
		for _, fn := range w.onDisconnect.all() {
			_ = s.guarded(func() error { (*fn)(s, reason); return nil }) // logged there
		}
	}
	if s.ns.recovers() {
		s.ns.persist(s, reason)
	}
	if hook := s.server().o.Hooks.Disconnected; hook != nil {
		hook(s, reason)
	}
	s.server().o.Logger.LogAttrs(s.Context(), slog.LevelDebug, "socket disconnected", slog.String("nsp", s.name),
		slog.String("sid", s.id), slog.String("reason", string(reason)), slog.Any("err", s.Cause()))
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Context ends when the socket does. It carries the values of the request's
// context, and is the one that handlers get.
func (s *Socket) Context() context.Context { return socketContext{s} }

// socketContext costs nothing until somebody waits for its end.
type socketContext struct{ s *Socket }

func (c socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c socketContext) Value(key any) any {
	if key == (socketKey{}) {
		return c.s
	}
	return c.s.Request().Context().Value(key)
}

type socketKey struct{}

func (c socketContext) Done() <-chan struct{} {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.done == nil {
		c.s.done = make(chan struct{})
		if c.s.state.Load() == ended {
			close(c.s.done)
		}
	}
	return c.s.done
}

func (c socketContext) Err() error {
	if c.s.state.Load() == ended {
		return context.Canceled
	}
	return nil
}
