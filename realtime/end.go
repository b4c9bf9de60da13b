package realtime

import (
	"log/slog"

	"server22.local/appliance/realtime/packet"
)

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
	s.farewell(&packet.Packet{Type: packet.Disconnect, Namespace: s.name}, reason)
}

// farewell ends the socket and tells the client by p.
func (s *Socket) farewell(p *packet.Packet, reason Reason) {
	s.inbox.close()
	s.conn.remove(s)
	_ = s.transmit(p) // it may be gone already
	s.end(reason, nil)
	s.conn.removed()
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
	s.later(job{run: func() { s.finish(before, reason) }})
}

// finish runs last of all that happens to the socket. Those see it go who have
// seen it come: one that ended on its way in was never told to be connected.
func (s *Socket) finish(before int32, reason Reason) {
	defer s.server().alive.Done()
	defer s.server().workers.Leave()
	if s.ns == nil {
		return
	}
	if before == connected {
		s.finishConnected(reason)
	}
	if before != connecting || s.Recovered() { // in rooms, which may have been saved
		s.ns.persist(s, reason)
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
			s.call("OnDisconnect", func() { (*fn)(s, reason) })
		}
	}
	if hook := s.server().o.Hooks.Disconnected; hook != nil {
		hook(s, reason)
	}
	s.server().o.Logger.LogAttrs(s.Context(), slog.LevelDebug, "socket disconnected", slog.String("nsp", s.name),
		slog.String("sid", s.id), slog.String("reason", string(reason)), slog.Any("err", s.Cause()))
}

// Cause is what has ended the connection, and the socket with it, in more
// detail than the reason that OnDisconnect gets: the error of the network, or
// what was wrong with the client's packet. It is nil before, and where there is
// nothing more to say.
func (s *Socket) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
