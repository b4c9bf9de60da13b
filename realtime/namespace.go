package realtime

import (
	"context"
	"regexp"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/adapter"
)

// wiring is what a program puts on a namespace or on a parent of namespaces.
type wiring struct {
	registry
	middlewares  list[func(*Socket) error]
	onConnect    list[func(*Socket)]
	onDisconnect list[func(*Socket, Reason)]
	outgoing     list[func(*Outgoing) error]
}

// Use puts a middleware before the namespace, until remove is called: it
// decides about each socket that wants to connect, in the order of the calls to
// Use, and may wait. An error refuses the socket; see Refusal for what the
// client is told.
func (w *wiring) Use(fn func(s *Socket) error) (remove func()) { return w.middlewares.add(fn) }

// OnConnect has fn run for each socket that has connected, until remove is
// called. It returns before the first event of the socket is handled, so that
// handlers which fn puts on the socket miss nothing.
func (w *wiring) OnConnect(fn func(s *Socket)) (remove func()) { return w.onConnect.add(fn) }

// OnDisconnect has fn run when a socket has ended, after the handler that may
// still have been running, until remove is called. The socket is still in its
// rooms, but receives nothing any more; Socket.Cause has the details, where
// there are any.
func (w *wiring) OnDisconnect(fn func(s *Socket, why Reason)) (remove func()) {
	return w.onDisconnect.add(fn)
}

// UseOutgoing puts a middleware before everything that is emitted here, once
// per call of Emit, whatever the number of receivers, and before anything is
// sent, until remove is called. An error is returned by that Emit and nothing
// is sent. A nil fn is no middleware.
func (w *wiring) UseOutgoing(fn func(o *Outgoing) error) (remove func()) {
	if fn == nil {
		return func() {}
	}
	return w.outgoing.add(fn)
}

// OnAnyOutgoing has fn see everything that is emitted here, before it is sent,
// until remove is called.
func (w *wiring) OnAnyOutgoing(fn func(o *Outgoing)) (remove func()) {
	if fn == nil {
		return func() {}
	}
	return w.UseOutgoing(func(o *Outgoing) error {
		fn(o)
		return nil
	})
}

// Namespace is a part of the server that clients connect to by its name, with
// handlers and rooms of its own. Its methods are safe for concurrent use; what
// is put on it takes effect for sockets and events from then on.
type Namespace struct {
	wiring
	BroadcastOperator // to all sockets

	server  *Server
	name    string
	parent  *Parent // nil unless made by one
	adapter adapter.Adapter
	asks    asks
	remote  list[remoteHandler] // of ServerSideEmit

	recovery atomic.Pointer[Recovery]
	live     liveSessions

	ready chan struct{} // closed when the hooks of OnNamespace have returned

	// Guarded by server.mu.
	count      int         // sockets that connect or are connected
	kept       bool        // not to be removed when empty
	retirement *time.Timer // removes it when its sessions are over; nil unless it is empty
}

func newNamespace(s *Server, name string, parent *Parent) *Namespace {
	n := &Namespace{server: s, name: name, parent: parent, ready: make(chan struct{})}
	n.BroadcastOperator.ns = n
	n.adapter = s.o.Adapter(name, local{n})
	n.watchRooms()
	if parent == nil {
		return n
	}
	if r := parent.recovery.Load(); r != nil {
		if err := n.Recover(*r); err != nil {
			s.o.Logger.Error("opening the log of a namespace", "nsp", name, "err", err)
		}
	}
	return n
}

// watchRooms sees to the hooks that are about rooms.
func (n *Namespace) watchRooms() {
	hooks := &n.server.o.Hooks
	watchable, ok := n.adapter.(interface{ Watch(func(adapter.Change)) })
	if !ok || hooks.Joined == nil && hooks.Left == nil {
		return
	}
	watchable.Watch(func(c adapter.Change) {
		tell := hooks.Joined
		if c.Left {
			tell = hooks.Left
		}
		if tell != nil {
			tell(c.Member.(*Socket), c.Room, c.Members)
		}
	})
}

// close ends the adapter, and with it the log of a recovery.
func (n *Namespace) close() {
	if err := n.adapter.Close(); err != nil {
		n.server.o.Logger.Error("closing adapter", "nsp", n.name, "err", err)
	}
}

// Name is the name, with its slash.
func (n *Namespace) Name() string { return n.name }

// Adapter returns what keeps the rooms of the namespace.
func (n *Namespace) Adapter() adapter.Adapter { return n.adapter }

// Socket returns the socket of an id that is connected to this server, or nil.
func (n *Namespace) Socket(id string) (found *Socket) {
	n.adapter.Sockets(adapter.Options{Rooms: []string{id}}, func(m adapter.Member) bool {
		if m.ID() == id {
			found = m.(*Socket)
		}
		return found == nil
	})
	return found
}

// Len is how many sockets of this server are connected or connecting.
func (n *Namespace) Len() int {
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	return n.count
}

// Rooms returns the rooms on this server with the number of their sockets; the
// room that each socket is in by its id is among them.
func (n *Namespace) Rooms() map[string]int { return n.adapter.Rooms() }

// wirings calls yield for what the parent has and what the namespace has.
func (n *Namespace) wirings(yield func(*wiring) bool) {
	if n.parent != nil && !yield(&n.parent.wiring) {
		return
	}
	yield(&n.wiring)
}

// Parent makes namespaces when clients ask for them. What is put on it holds
// for all of them. One whose last socket has left is removed, unless Of has
// named it; if it recovers, when the last of its sessions can come back no
// more, or when 1024 such namespaces wait for theirs.
type Parent struct {
	wiring
	server   *Server
	allow    func(context.Context, string, Value) bool
	pattern  *regexp.Regexp
	recovery atomic.Pointer[Recovery]
}

// Namespaces returns those that there are.
func (p *Parent) Namespaces() []*Namespace {
	var own []*Namespace
	for _, n := range p.server.Namespaces() {
		if n.parent == p {
			own = append(own, n)
		}
	}
	return own
}

// Emit sends an event to all sockets of all namespaces of the parent.
func (p *Parent) Emit(event string, args ...any) error {
	for _, n := range p.Namespaces() {
		if err := n.Emit(event, args...); err != nil {
			return err
		}
	}
	return nil
}
