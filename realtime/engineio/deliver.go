package engineio

import "server22.local/appliance/realtime/engineio/wire"

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
	// a goroutine that does nothing else and may block.
	Closed(reason Reason, err error)
}

// beginDelivery begins a run of messages to the receiver. A peer that speaks
// has its handlers: nothing need go ahead of what it is answered.
func (s *Socket) beginDelivery() {
	s.delivery.Lock()
	s.mu.Lock()
	s.corks++
	s.restUntil = 0
	s.mu.Unlock()
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
