package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/wire"
	"server22.local/appliance/realtime/internal/crew"
)

// Server serves Engine.IO sessions to HTTP requests. It is safe for concurrent
// use. It has no goroutine of its own while nothing happens, and needs none to
// be started.
type Server struct {
	o            Options
	accept       func(*Socket) Receiver
	writeTimeout time.Duration // how long one write may make no progress

	start    time.Time
	crew     *crew.Crew[Worker] // reads, and says farewell
	flushers flushers
	late     lateList
	beats    *beats
	watch    *watch

	mu       sync.Mutex // guards all following
	sessions map[string]*Socket
	live     int           // sockets that are not yet forgotten
	closed   bool          // no new sessions
	idle     chan struct{} // closed when live is 0, if somebody waits
}

// NewServer makes a server. accept is called once for each session, after the
// open packet was queued and before its first message, and returns the
// application's end; what it sends goes out with the handshake. nil refuses
// the session.
func NewServer(o Options, accept func(*Socket) Receiver) *Server {
	s := &Server{
		o:        o.withDefaults(),
		accept:   accept,
		start:    time.Now(),
		crew:     crew.New(func(w Worker) { w.Work() }),
		sessions: make(map[string]*Socket),
	}
	s.writeTimeout = s.o.PingInterval + s.o.PingTimeout
	s.watch = newWatch(s)
	s.beats = newBeats(s)
	return s
}

// ServeHTTP serves one request of the protocol, whatever its path: only the
// method, the query and the headers count.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.o.CORS.Apply(w.Header(), r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	q := parseQuery(r.URL.RawQuery)
	upgrade := websocket.IsWebSocketUpgrade(r)
	if err := s.serve(w, r, &q, upgrade); err != nil {
		s.refused(w, err, upgrade)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, q *query, upgrade bool) *ConnectionError {
	if !s.o.enabled(q.transport) {
		return refuse(r, CodeUnknownTransport, "", nil)
	}
	if err := s.checkOrigin(r); err != nil {
		return err
	}
	if upgrade && q.transport != WebSocket {
		return refuse(r, CodeBadRequest, "TRANSPORT_MISMATCH", nil)
	}
	if q.sid == "" {
		return s.handshake(w, r, q, upgrade)
	}
	socket := s.session(q.sid)
	if socket != nil && socket.lapsed() {
		socket = s.session(q.sid)
	}
	switch {
	case socket == nil:
		return refuse(r, CodeUnknownSession, "", nil)
	case upgrade:
		return s.serveCandidate(w, r, socket)
	case q.transport != Polling:
		return refuse(r, CodeBadRequest, "TRANSPORT_MISMATCH", nil)
	}
	switch r.Method {
	case http.MethodGet:
		return socket.serveGet(w, r, q)
	case http.MethodPost:
		return socket.servePost(w, r, q)
	default:
		w.Header().Set("Allow", "GET, POST")
		return refuse(r, CodeBadRequest, "METHOD", errMethod)
	}
}

// now is the time in the form that connections keep it.
func (s *Server) now() time.Duration { return time.Since(s.start) }

func (s *Server) session(id string) *Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// Clients is the number of sessions.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Shutdown refuses new sessions, ends all others as ReasonShutdown, and waits
// until every receiver has been told and every peer has had its farewell. If
// the context ends first, what remains is cut off and its error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, socket := range s.refuseNew() {
		socket.end(ReasonShutdown, ErrServerClosed, graceful)
	}
	select {
	case <-s.drained():
		return nil
	case <-ctx.Done():
		s.cutOff()
		return ctx.Err()
	}
}

// Close refuses new sessions and ends all others as ReasonShutdown, without
// waiting for anything.
func (s *Server) Close() error {
	for _, socket := range s.refuseNew() {
		socket.end(ReasonShutdown, ErrServerClosed, abrupt)
	}
	s.cutOff()
	return nil
}

func (s *Server) refuseNew() []*Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.all()
}

func (s *Server) cutOff() {
	s.mu.Lock()
	sockets := s.all()
	s.mu.Unlock()
	for _, socket := range sockets {
		socket.cut()
	}
}

// all lists the sessions; mu is held.
func (s *Server) all() []*Socket {
	sockets := make([]*Socket, 0, len(s.sessions))
	for _, socket := range s.sessions {
		sockets = append(sockets, socket)
	}
	return sockets
}

func (s *Server) drained() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = make(chan struct{})
		if s.live == 0 {
			close(s.idle)
		}
	}
	return s.idle
}

// add registers a socket; it fails if the server is closed or the id taken.
func (s *Server) add(socket *Socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrServerClosed
	}
	if s.sessions[socket.id] != nil {
		return errIDTaken
	}
	s.sessions[socket.id] = socket
	s.live++
	s.crew.Enter()
	return nil
}

// remove makes the session id unknown.
func (s *Server) remove(socket *Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, socket.id)
}

// forget says that nothing of one socket is left.
func (s *Server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	s.crew.Leave()
	if s.live == 0 && s.idle != nil && s.closed {
		close(s.idle)
	}
}

func (s *Server) report(e *ConnectionError) {
	if hook := s.o.Hooks.ConnectionError; hook != nil {
		hook(e)
	}
	s.o.Logger.LogAttrs(e.Request.Context(), slog.LevelDebug, "request refused",
		slog.Int("code", int(e.Code)), slog.String("message", e.Message), slog.String("context", e.Context),
		slog.String("remote", e.Request.RemoteAddr))
}

func (s *Server) dropped(socket *Socket, p *Packet) {
	if hook := s.o.Hooks.Dropped; hook != nil {
		hook(socket, p)
	}
}

func (s *Server) closedSocket(socket *Socket, reason Reason, err error) {
	if hook := s.o.Hooks.Closed; hook != nil {
		hook(socket, reason, err)
	}
	s.o.Logger.LogAttrs(socket.request.Context(), slog.LevelDebug, "session closed",
		slog.String("remote", socket.request.RemoteAddr), slog.String("reason", string(reason)), slog.Any("err", err))
}

// randomID returns 128 random bits.
func randomID(*http.Request) (string, error) {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// newSocket makes the socket of a session that starts now.
func (s *Server) newSocket(id string, v wire.Version, r *http.Request) *Socket {
	socket := &Socket{server: s, id: id, version: v, request: keep(r)}
	socket.parts.Store(2) // the transport, and the call of Receiver.Closed
	return socket
}
