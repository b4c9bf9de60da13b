package engineio

// Close ends the session. What was sent before is still written, if the peer
// takes it soon. Receiver.Closed follows with the reason.
func (s *Socket) Close(reason Reason) { s.end(reason, nil, graceful) }

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
	s.server.crew.Work(task(func() { s.finish(reason, err) }))
	if ws != nil {
		ws.farewell(how, err)
	} else {
		s.farewellPolling(how, reason)
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
		s.server.forget()
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
