package engineio

import (
	"net/http"
	"time"

	"server22.local/appliance/realtime/engineio/internal/frame"
	"server22.local/appliance/realtime/engineio/wire"
)

const (
	// A poll that waits when the probe comes is released after noopFirst, so
	// that the answer to the probe is there first; later ones are released
	// every noopEvery. None may be left waiting, or the client would wait
	// for it before it upgrades.
	noopFirst = 5 * time.Millisecond
	noopEvery = 100 * time.Millisecond
)

var probeAnswer = frame.Append(nil, frame.Text, []byte("3probe"))

// serveCandidate serves a WebSocket that names a session.
func (s *Server) serveCandidate(w http.ResponseWriter, r *http.Request, socket *Socket) *ConnectionError {
	c, err := s.upgrade(w, r, "", socket.version)
	if err != nil {
		return err
	}
	admitted := socket.admit(c)
	c.control(c.head)
	c.head = nil
	if !admitted {
		c.control(frame.AppendClose(nil, frame.CodeNone))
		c.shut()
		return nil
	}
	c.socket = socket
	timer := time.AfterFunc(s.o.UpgradeTimeout, func() { socket.expire(c) })
	go func() {
		defer timer.Stop()
		c.readLoop()
	}()
	return nil
}

// admit makes c the connection that may take over.
func (s *Socket) admit(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open || s.ws != nil || s.candidate != nil || !s.server.upgradable() {
		return false
	}
	s.candidate = c
	return true
}

// expire closes a candidate that has not taken over in time. Who sees the end
// of it may try again at once.
func (s *Socket) expire(c *conn) {
	if s.dropCandidate(c) {
		c.shut()
	}
}

// dropCandidate goes on polling, and reports whether c had still to take over.
func (s *Socket) dropCandidate(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.candidate != c {
		return false
	}
	s.candidate, s.probed = nil, false
	return true
}

// candidatePacket handles a packet on a connection that wants to take over.
// Some microcontrollers take over without a probe.
func (c *conn) candidatePacket(p wire.Packet) error {
	switch {
	case p.Type == wire.Ping && string(p.Data) == "probe":
		c.control(probeAnswer)
		c.socket.probe(c)
		return nil
	case p.Type == wire.Upgrade:
		return c.socket.adopt(c)
	default:
		c.control(frame.AppendClose(nil, frame.CodeNone))
		return errNotProbe
	}
}

// probe releases the poll that waits, and those that come, until the upgrade
// is done or given up.
func (s *Socket) probe(c *conn) {
	s.mu.Lock()
	first := s.candidate == c && !s.probed
	s.probed = s.probed || first
	waiting := s.poll
	s.mu.Unlock()
	if !first {
		return
	}
	if waiting != nil {
		time.AfterFunc(noopFirst, func() { s.noop(c, waiting) })
	}
	s.noops(c)
}

// noops releases polls as long as c is a candidate.
func (s *Socket) noops(c *conn) {
	time.AfterFunc(noopEvery, func() {
		s.mu.Lock()
		waiting := s.poll
		s.mu.Unlock()
		if s.noop(c, waiting) {
			s.noops(c)
		}
	})
}

// noop releases p if it still waits, and says whether c is still a candidate.
func (s *Socket) noop(c *conn, p *poll) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open || s.candidate != c || !s.probed {
		return false
	}
	if p != nil && s.poll == p && len(s.queue) == 0 {
		s.push(item{packet: noopPacket})
		s.releasePoll()
	}
	return true
}

// adopt makes the candidate the transport of the session. What was queued
// meanwhile goes out on it, be it the session's last words.
func (s *Socket) adopt(c *conn) error {
	s.mu.Lock()
	if s.state == gone || s.candidate != c {
		s.mu.Unlock()
		return errNoUpgrade
	}
	s.ws, s.candidate, s.probed = c, nil, false
	c.joined = true
	s.refusePoll(CodeBadRequest, "TRANSPORT_MISMATCH")
	ended := s.state == closing
	if ended {
		s.takeBack(closePacket) // a WebSocket says it by a frame
	}
	flush := len(s.queue) > 0 && s.schedule()
	s.mu.Unlock()
	if ended {
		c.farewell(graceful, nil)
		return nil
	}
	if hook := s.server.o.Hooks.Upgraded; hook != nil {
		hook(s)
	}
	if flush {
		s.hand(nil)
	}
	return nil
}

// cut ends what is left of a session that was already ended.
func (s *Socket) cut() {
	s.mu.Lock()
	ws := s.ws
	s.mu.Unlock()
	if ws != nil {
		ws.close()
	} else {
		s.vanish()
	}
}
