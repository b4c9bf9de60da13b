package engineio

import (
	"slices"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// flush writes all that is queued, as far as the connection takes it without
// waiting.
func (s *Socket) flush(sc *scratch) {
	s.mu.Lock()
	s.handed = false
	if s.ws == nil {
		if len(s.queue) > 0 {
			s.releasePoll()
		}
		s.mu.Unlock()
		return
	}
	for !s.writing && s.next(sc) {
		s.writing = true
		c := s.ws
		s.mu.Unlock()
		rest, err := c.tryWrite(sc)
		if err != nil {
			s.end(ReasonTransportError, err, broken)
			return // writing stays true: nothing more will be written
		}
		if rest != nil {
			s.mu.Lock()
			s.inFlight = size(rest)
			s.mu.Unlock()
			go s.drain(c, rest, slices.Clone(sc.items))
			return
		}
		written(sc.items)
		s.mu.Lock()
		s.writing = false
	}
	hangup := s.hangup && !s.writing
	s.mu.Unlock()
	if hangup {
		s.ws.shut()
	}
}

// written tells who wants to know about items that are.
func written(items []item) {
	for i := range items {
		if fn := items[i].packet.written; fn != nil {
			fn()
		}
	}
}

// next moves what is to be written now to sc, if anything is; mu is held. The
// answer to the upgrade goes with the first of it, or alone in version 3.
func (s *Socket) next(sc *scratch) bool {
	sc.items = sc.items[:0]
	if s.ws.head != nil && s.version == wire.V3 {
		s.rest()
		return true
	}
	if len(s.queue) == 0 || s.rests() {
		return false
	}
	sc.items = s.take(sc.items)
	if sc.items[len(sc.items)-1].ahead {
		s.rest()
	}
	return true
}

// rest lets nothing follow for a while; mu is held.
func (s *Socket) rest() { s.restUntil = s.server.now() + headStart }

// rests says whether what is queued has to wait for what has gone ahead, and
// sees to it that it is flushed then; mu is held. At the end nothing waits.
func (s *Socket) rests() bool {
	if s.restUntil == 0 || s.state != open {
		return false
	}
	if s.server.now() >= s.restUntil {
		s.restUntil = 0
		return false
	}
	s.flushLate(s.restUntil)
	return true
}

// flushSoon lists the socket to be flushed, and whoever works for it to be
// relieved, if that has not happened by itself; mu is held.
func (s *Socket) flushSoon() {
	if !s.late { // or the time would be asked for nothing
		s.flushLate(s.server.now() + lateFlush)
	}
}

// flushLate lists the socket to be flushed; mu is held.
func (s *Socket) flushLate(at time.Duration) {
	if !s.late {
		s.late = true
		s.server.late.add(s, at)
	}
}

// drain writes while the peer is slow; it ends when all is written.
func (s *Socket) drain(c *conn, rest [][]byte, items []item) {
	sc := takeScratch()
	defer sc.release()
	for {
		if err := c.writeAll(rest, s.server.writeTimeout); err != nil {
			s.end(ReasonTransportError, err, broken)
			return
		}
		written(items)
		s.mu.Lock()
		s.inFlight = 0
		if !s.next(sc) {
			s.writing = false
			hangup := s.hangup
			s.mu.Unlock()
			if hangup {
				c.shut()
			}
			return
		}
		rest, items = c.segments(sc, nil), sc.items
		s.inFlight = size(rest)
		s.mu.Unlock()
	}
}

func size(segments [][]byte) (n int) {
	for _, b := range segments {
		n += len(b)
	}
	return n
}
