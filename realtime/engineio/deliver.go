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

// Worker is work that a message has caused and that may take long.
type Worker interface{ Work() }

// task is a function as a Worker.
type task func()

func (t task) Work() { t() }

// Work has w work when the call of Receiver.Message has returned that this is
// called from, at most once. Over a WebSocket that is on the goroutine that
// delivers messages, so that no other one has to be woken for work that is
// soon done. If it is not done in a few milliseconds, or somebody calls Yield,
// another goroutine goes on to deliver messages beside it. What is sent to the
// socket meanwhile leaves as what is sent from within Message. It may also be
// called by who accepts the session.
func (s *Socket) Work(w Worker) { s.work = w }

// takeWork returns what Receiver.Message has left to do; delivery is held.
func (s *Socket) takeWork() Worker {
	w := s.work
	s.work = nil
	return w
}

// handWork has another goroutine do what is left to do; delivery is held, or
// nothing is delivered yet.
func (s *Socket) handWork() {
	if w := s.takeWork(); w != nil {
		s.server.crew.Work(w)
	}
}

// Yield is for those who send something and are about to wait for what the
// peer makes of it: it is written though somebody works, and what comes next
// is read.
func (s *Socket) Yield() {
	sc := takeScratch()
	s.flush(sc)
	sc.release()
	s.relieve()
}

// relieve has messages delivered by another goroutine if the one that does is
// at work.
func (s *Socket) relieve() {
	s.mu.Lock()
	c := s.ws
	s.mu.Unlock()
	if c != nil {
		c.relieve()
	}
}

// heard notes that the peer speaks: it has its handlers, so that nothing need
// go ahead of what it is answered. What it is answered is held back until
// Uncork. If that takes long, who reads is relieved.
func (s *Socket) heard() {
	s.mu.Lock()
	s.corks++
	s.restUntil = 0
	if s.ws != nil {
		s.flushSoon()
	}
	s.mu.Unlock()
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
