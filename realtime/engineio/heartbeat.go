package engineio

import (
	"sync"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// beat is a socket's place in beats.
type beat struct {
	list       *beatList
	prev, next *Socket
	at         time.Time
}

// beatList holds sockets in the order in which they become due: since all of
// them wait equally long, that is the order in which they came.
type beatList struct {
	wait        time.Duration
	first, last *Socket
}

// beats keeps the time of all sockets with one timer, which runs only while
// there is a socket.
type beats struct {
	server *Server

	mu      sync.Mutex // guards all following, and the beat of every socket
	resting beatList   // to be sent a ping
	waiting beatList   // to have answered
	clients beatList   // version 3: the client pings
	timer   *time.Timer
	armed   bool
	until   time.Time // when the timer fires, if armed
}

// early shortens a waiting time a little. Clients measure by their own clocks:
// a server that is a little early is in time, and one that is late is not.
func early(d time.Duration) time.Duration { return d - min(d/100, 5*time.Millisecond) }

func newBeats(s *Server) *beats {
	b := &beats{server: s}
	b.resting.wait = early(s.o.PingInterval)
	b.waiting.wait = early(s.o.PingTimeout)
	b.clients.wait = early(s.o.PingInterval + s.o.PingTimeout)
	return b
}

// start begins the heartbeat of a new socket.
func (b *beats) start(s *Socket) { b.move(s, b.firstList(s)) }

func (b *beats) firstList(s *Socket) *beatList {
	if s.version == wire.V3 {
		return &b.clients
	}
	return &b.resting
}

// silenceList is the list whose end means that the peer is silent.
func (b *beats) silenceList(s *Socket) *beatList {
	if s.version == wire.V3 {
		return &b.clients
	}
	return &b.waiting
}

// move puts the socket on a list, to wait there from now on.
func (b *beats) move(s *Socket, l *beatList) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.closed.Load() {
		return // remove has been here, or is about to
	}
	b.unlink(s)
	s.beat = beat{list: l, prev: l.last, at: time.Now().Add(l.wait)} // all of a list wait equally long
	if l.last != nil {
		l.last.beat.next = s
	} else {
		l.first = s
	}
	l.last = s
	b.arm()
}

// remove ends the heartbeat of a socket that is closed.
func (b *beats) remove(s *Socket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlink(s)
	if b.next() == nil && b.timer != nil {
		b.timer.Stop()
		b.armed = false
	}
}

// listed says whether the socket waits for something.
func (b *beats) listed(s *Socket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return s.beat.list != nil
}

func (b *beats) unlink(s *Socket) {
	l := s.beat.list
	if l == nil {
		return
	}
	if p := s.beat.prev; p != nil {
		p.beat.next = s.beat.next
	} else {
		l.first = s.beat.next
	}
	if n := s.beat.next; n != nil {
		n.beat.prev = s.beat.prev
	} else {
		l.last = s.beat.prev
	}
	s.beat = beat{}
}

// next is the socket that is due first.
func (b *beats) next() *Socket {
	var first *Socket
	for _, l := range [...]*beatList{&b.resting, &b.waiting, &b.clients} {
		if s := l.first; s != nil && (first == nil || s.beat.at.Before(first.beat.at)) {
			first = s
		}
	}
	return first
}

// arm sees to it that the timer fires when the first socket is due; mu is held.
func (b *beats) arm() {
	s := b.next()
	if s == nil || b.armed && !s.beat.at.Before(b.until) {
		return
	}
	b.armed, b.until = true, s.beat.at
	if b.timer == nil {
		b.timer = time.AfterFunc(time.Until(b.until), b.tick)
	} else {
		b.timer.Reset(time.Until(b.until))
	}
}

// tick serves the sockets that are due.
func (b *beats) tick() {
	b.mu.Lock()
	b.armed = false
	// What is due soon is served with what is due now: many sockets do not
	// mean many timers.
	now := time.Now().Add(b.resting.wait / 250)
	pings := b.due(&b.resting, now)
	silent := b.due(&b.waiting, now)
	silent = append(silent, b.due(&b.clients, now)...)
	b.mu.Unlock()

	var batch Batch
	for _, s := range pings {
		s.ping(&batch)
	}
	batch.Flush()
	for _, s := range silent {
		s.unanswered()
	}
	b.mu.Lock()
	b.arm()
	b.mu.Unlock()
}

// due takes the sockets off a list whose time has come.
func (b *beats) due(l *beatList, now time.Time) (list []*Socket) {
	for l.first != nil && !l.first.beat.at.After(now) {
		list = append(list, l.first)
		b.unlink(l.first)
	}
	return list
}

// overdue says whether the peer's time is over though the timer has not come
// round to it yet, and takes the socket off its list if so.
func (b *beats) overdue(s *Socket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := s.beat.list
	if l == nil || l == &b.resting || s.beat.at.After(time.Now()) {
		return false
	}
	b.unlink(s)
	return true
}

// ping sends a heartbeat, from which on the peer's time runs.
func (s *Socket) ping(batch *Batch) {
	b := s.server.beats
	s.mu.Lock()
	s.awaiting = true
	s.mu.Unlock()
	b.move(s, &b.waiting)
	s.sendControl(pingPacket, batch)
}

// unanswered ends the session of a peer that has been silent, unless it is us
// who did not listen.
func (s *Socket) unanswered() {
	b := s.server.beats
	if !s.delivery.TryLock() {
		if s.version == wire.V3 {
			b.move(s, b.silenceList(s))
			return
		}
		s.ping(nil) // the peer needs it as well; and if there is none any more, writing tells
		return
	}
	s.delivery.Unlock()
	s.mu.Lock()
	silent := s.version == wire.V3 || s.awaiting
	s.mu.Unlock()
	if silent && !b.listed(s) {
		s.end(ReasonPingTimeout, errPongMissing, abrupt)
	}
}

// lapsed ends a session whose peer's time is over though the timer has not
// come round to it yet, and says whether it did.
func (s *Socket) lapsed() bool {
	switch {
	case s.server.beats.overdue(s):
		s.unanswered()
	case s.absent():
		s.end(ReasonPingTimeout, errPongMissing, abrupt)
	default:
		return false
	}
	return true
}

// absent says whether a polling client was away for as long as a heartbeat may
// take. However late a busy machine was with the ping, this client was not
// there to have it.
func (s *Socket) absent() bool {
	o := &s.server.o
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws != nil || s.candidate != nil || s.poll != nil || s.posting || s.away.IsZero() {
		return false
	}
	return time.Since(s.away) >= early(o.PingInterval+o.PingTimeout)
}

// heartbeat handles a ping or a pong of the peer. It returns false if it came
// in the wrong direction.
func (s *Socket) heartbeat(p wire.Packet) bool {
	switch {
	case p.Type == wire.Pong && s.version == wire.V4:
		s.mu.Lock()
		s.awaiting = false
		s.mu.Unlock()
		s.server.beats.move(s, &s.server.beats.resting)
	case p.Type == wire.Ping && s.version == wire.V3:
		s.server.beats.move(s, &s.server.beats.clients)
		// Not beyond the queue's limit: how long it is, and how many there are,
		// is up to the peer.
		s.Send(control(wire.Pong, string(p.Data)), SendOptions{Uncompressed: true})
	default:
		s.end(ReasonTransportError, errDirection, abrupt)
		return false
	}
	return true
}

var (
	pingPacket  = control(wire.Ping, "")
	noopPacket  = control(wire.Noop, "")
	closePacket = control(wire.Close, "")
)
