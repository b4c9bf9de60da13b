package realtime

import (
	"log/slog"
	"sync"
	"time"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
	"server22.local/appliance/realtime/recovery"
)

// Recovery lets clients whose connection was lost go on with their session:
// the socket keeps its id, rooms and data, and receives what it has missed.
//
// It is a choice per namespace, since it is visible: every event (but those
// that ask for an acknowledgement, and volatile ones) has the offset as one
// more argument, a string, which clients other than socket.io-client hand to
// their handlers. Clients of Socket.IO 1 and 2 and plain ones, which cannot
// recover, do not get it.
type Recovery struct {
	// Limits bound what is kept in memory; of no meaning with Log.
	Limits recovery.Limits
	// Log returns where the namespace keeps packets and sessions; nil means
	// in memory. With a log that outlives the process, clients recover after
	// a restart too. A log that is an io.Closer is closed when the namespace
	// goes or the server has shut down. The name is the client's, where a
	// Parent makes the namespace.
	Log func(namespace string) (recovery.Log, error)
	// AskMiddlewares lets the middlewares decide about sockets that recover,
	// as about others.
	AskMiddlewares bool
}

// Recover turns recovery on for the namespace. It is called before the server
// serves. It wants the in-memory adapter; one for a cluster has its own means.
func (n *Namespace) Recover(r Recovery) error {
	memory, ok := n.adapter.(*adapter.Memory)
	if !ok {
		n.recovery.Store(&r) // the adapter recovers by its own means
		return nil
	}
	var log recovery.Log = recovery.NewMemory(r.Limits)
	if r.Log != nil {
		var err error
		if log, err = r.Log(n.name); err != nil {
			return err
		}
	}
	n.adapter = adapter.NewRecovering(memory, log)
	n.recovery.Store(&r)
	return nil
}

// Recover turns recovery on for all namespaces that the parent makes from then
// on; the limits hold for each of them. A namespace whose log cannot be opened
// goes without.
func (p *Parent) Recover(r Recovery) { p.recovery.Store(&r) }

// recoverableUntil is when the last session is over that is kept here.
func (n *Namespace) recoverableUntil() time.Time {
	if r, ok := n.adapter.(interface{ Until() time.Time }); ok {
		return r.Until()
	}
	return time.Time{}
}

func (n *Namespace) recovers() bool { return n.recovery.Load() != nil }

func (n *Namespace) skipsMiddlewares() bool {
	r := n.recovery.Load()
	return r != nil && !r.AskMiddlewares
}

// takeoverWait bounds how long a client that comes back waits for what is left
// of its old socket: a handler that does not mind its context.
const takeoverWait = 5 * time.Second

// recover goes on with the session that the client names, if there is one.
// Without one, it prepares the socket to be recovered later.
func (s *Socket) recover(auth Value) bool {
	if !s.ns.recovers() || !s.conn.recovers() {
		return false
	}
	var claim struct {
		PID    string `json:"pid"`
		Offset string `json:"offset"`
	}
	if auth.Decode(&claim) == nil && claim.PID != "" && s.restore(claim.PID, claim.Offset) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = newID()
	if r, ok := s.ns.adapter.(interface{ Offset() string }); ok {
		s.start = r.Offset()
	}
	return false
}

func (s *Socket) restore(pid, offset string) bool {
	if old := s.ns.live.find(pid); old != nil && !old.makeWay(s) {
		return false
	}
	session, err := s.ns.adapter.RestoreSession(s, pid, offset)
	if err != nil {
		return false
	}
	for _, p := range session.Missed {
		_ = s.transmit(p) // if it is gone again, so be it
	}
	return true
}

// Resume implements adapter.Member; it is the adapter's.
func (s *Socket) Resume(session *adapter.Restored) bool {
	if !s.takes(session.Missed) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.pid, s.start, s.recovered = session.ID, session.PID, session.Start, true
	s.data = session.Values
	if s.data == nil {
		s.data = make(map[string]any, len(session.Data))
		for key, text := range session.Data {
			s.data[key] = text
		}
	}
	return true
}

// takes says whether the connection's queue has room for packets: a client that
// has missed more would be cut off, as often as it came back for it.
func (s *Socket) takes(missed []*packet.Packet) bool {
	encoded := 128 + len(s.name) // what else there is to a packet, and to the CONNECT, is less
	room := s.server().queueBytes() - s.conn.link.QueuedBytes() - encoded
	for _, p := range missed {
		room -= p.Size() + encoded
	}
	return room >= 0
}

// makeWay ends a socket whose client has come back before the loss of the
// connection was noticed, and waits until its session is kept. If the client
// has ended the socket itself, and come back on the same connection, that goes
// on.
func (s *Socket) makeWay(next *Socket) bool {
	s.mu.Lock()
	if s.gone == nil {
		s.gone = make(chan struct{})
	}
	gone := s.gone
	s.mu.Unlock()
	s.conn.remove(s)
	s.end(ReasonTransportClose, nil)
	if s.conn != next.conn {
		s.conn.link.Close(ReasonTransportClose)
	}

	late := time.NewTimer(takeoverWait)
	defer late.Stop()
	select {
	case <-gone:
		return true
	case <-late.C:
	case <-next.Context().Done():
	}
	return false
}

// persist keeps the session of a socket that has ended, if it may come back.
func (n *Namespace) persist(s *Socket, reason Reason) {
	session, ok := s.Session()
	if !ok {
		return
	}
	n.live.remove(s)
	if !recoverable(reason) {
		if r, ok := n.adapter.(interface{ DropSession(pid string) }); ok {
			r.DropSession(session.PID)
		}
		return
	}
	session.Ended = time.Now()
	if err := n.adapter.PersistSession(session); err != nil {
		n.server.o.Logger.Error("keeping a session", slog.String("nsp", n.name), slog.String("sid", s.id), slog.Any("err", err))
	}
}

// Session implements adapter.Snapshotter.
func (s *Socket) Session() (adapter.Session, bool) {
	if s.pid == "" {
		return adapter.Session{}, false
	}
	return adapter.Session{
		ID: s.id, PID: s.pid, Start: s.start,
		Rooms: s.Rooms(), Data: s.encodedData(), Values: s.Data(),
	}, true
}

// liveSessions finds a connected socket by its private id.
type liveSessions struct {
	mu    sync.Mutex // guards byPID
	byPID map[string]*Socket
}

func (l *liveSessions) add(s *Socket) {
	if s.pid == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byPID == nil {
		l.byPID = make(map[string]*Socket)
	}
	l.byPID[s.pid] = s
}

func (l *liveSessions) remove(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byPID[s.pid] == s {
		delete(l.byPID, s.pid)
	}
}

func (l *liveSessions) find(pid string) *Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byPID[pid]
}
