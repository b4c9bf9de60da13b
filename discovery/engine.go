package discovery

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// maxPacket is the most that a multicast DNS packet may have (RFC 6762 §17).
const maxPacket = 9000

// An engine is a running responder. One goroutine owns all of it and does one
// thing after the other: a packet, a timer, a change of what is wanted. It
// serves every link, because a name that is lost on one of them is changed on
// all. Each socket has a goroutine that only reads, and hands over one packet
// at a time, so that a flood on one link cannot keep the others waiting.
type engine struct {
	r   *Responder
	cfg Config
	log *slog.Logger

	packets chan *packet
	done    chan struct{} // closed when nobody takes packets any more
	readers sync.WaitGroup

	want       desired
	identities []*identity // the host's first
	links      []*link
	echoes     echoes
	former     []formerRecord
	dirty      bool   // the state has changed
	serial     uint64 // of the query being answered

	// Scratch, for one packet at a time.
	in      wire.Message
	out     wire.Builder
	answers []answer
	lists   [3][]*record
}

// A packet is what a reader hands over, until it is told that it is done with.
type packet struct {
	link    *link
	socket  socket
	unicast bool // it was sent to an address of ours
	from    netip.AddrPort
	data    []byte
	done    chan struct{}
}

func newEngine(r *Responder) *engine {
	return &engine{
		r:       r,
		cfg:     r.cfg,
		log:     r.cfg.Logger,
		packets: make(chan *packet),
		done:    make(chan struct{}),
	}
}

func (e *engine) run(ctx context.Context) {
	resumed, stop := e.cfg.platform.watchSleep(e.log)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	e.reconcile(time.Now())
	for {
		setTimer(timer, e.step(time.Now()))
		e.publish()
		select {
		case <-ctx.Done():
			e.shutdown()
			return
		case <-e.r.wake:
			e.reconcile(time.Now())
		case p := <-e.packets:
			e.receive(time.Now(), p)
			p.done <- struct{}{}
		case <-resumed:
			e.resume(time.Now())
		case <-timer.C:
		}
	}
}

// setTimer lets the timer wait for a deadline, and for ever if there is none.
func setTimer(timer *time.Timer, next time.Time) {
	if next.IsZero() {
		timer.Stop()
		return
	}
	timer.Reset(time.Until(next))
}

// shutdown says goodbye, as the very last thing that is sent (RFC 6762 §10.1).
func (e *engine) shutdown() {
	close(e.done)
	for _, l := range e.links {
		l.goodbye(time.Now())
		l.close()
	}
	e.links = nil
	e.readers.Wait()
	e.dirty = true
	e.publish()
}

// step does what is due and returns when to come back, or zero.
func (e *engine) step(now time.Time) time.Time {
	e.retryWanted(now)
	for _, l := range e.links {
		l.stepSockets(now)
		l.stepClaims(now)
	}
	e.promote(now)
	next := time.Time{}
	for _, l := range e.links {
		l.stepAnswers(now)
		next = earlier(next, l.next())
	}
	for _, id := range e.identities {
		if len(e.links) > 0 && !id.trial {
			next = earlier(next, id.retry)
		}
	}
	return next
}

// earlier returns the earlier of two times, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// isDue says whether a deadline, unless it is zero, has come.
func isDue(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

// receive deals with one packet.
func (e *engine) receive(now time.Time, p *packet) {
	if !slices.Contains(e.links, p.link) {
		return // it is closed
	}
	if e.sameHost(p.from.Addr()) && e.echoes.has(now, p.data) {
		return
	}
	if p.unicast && !p.link.ifi.onLink(p.from.Addr()) {
		return // §11: it came from beyond the link
	}
	if err := e.in.Unpack(p.data); err != nil || !e.in.Plain() {
		return // §18.3, §18.11
	}
	if e.in.Response() {
		p.link.heard(now, p)
	} else {
		p.link.asked(now, p)
	}
}

// read hands the packets of one socket to the engine until it is closed, each
// filled into p, which says where they come from.
func (e *engine) read(p *packet, iface string) {
	buf := make([]byte, maxPacket)
	p.done = make(chan struct{})
	budget := budget{left: maxBurst, at: time.Now()}
	for failures := 0; failures < 10; {
		n, from, err := p.socket.receive(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// The interface went down, for example; that is told by others.
			e.log.Debug("receiving failed", "iface", iface, "err", err)
			failures++
			continue
		}
		failures = 0
		if !budget.spend(time.Now(), n) {
			continue
		}
		p.data, p.from = buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		select {
		case e.packets <- p:
			<-p.done
		case <-e.done:
			return
		}
	}
}

// resume starts over on every link, as the host may have been carried
// elsewhere while it slept.
func (e *engine) resume(now time.Time) {
	e.log.Info("woken up; probing again")
	for _, l := range e.links {
		delay := startDelay()
		for _, c := range l.claims {
			c.start(now, delay)
		}
	}
	e.dirty = true
}

// publish hands out the state if it has changed.
func (e *engine) publish() {
	if !e.dirty {
		return
	}
	e.dirty = false
	s := e.state()
	e.r.publish(s)
	if slices.ContainsFunc(s.Host().Links, func(n NameOnLink) bool { return n.Phase == Held }) {
		select {
		case <-e.r.ready:
		default:
			close(e.r.ready)
		}
	}
}

func (e *engine) state() State {
	var s State
	for _, l := range e.links {
		s.Links = append(s.Links, l.state())
	}
	for _, id := range e.identities {
		s.Names = append(s.Names, e.nameState(id))
	}
	return s
}

func (e *engine) nameState(id *identity) NameState {
	n := NameState{
		Kind: id.kind, Wanted: id.wantedName().String(),
		Conflicts: id.conflicts, Rival: id.rival,
	}
	name := id.name()
	if name == "" {
		return n
	}
	n.Name = name.String()
	for _, l := range e.links {
		phase := Waiting
		if c := l.claims[name.Fold()]; c != nil && c.id == id {
			phase = c.phase
		}
		n.Links = append(n.Links, NameOnLink{Interface: l.ifi.Name, Family: l.fam.String(), Phase: phase})
	}
	n.Held = e.heldEverywhere(id, name)
	return n
}

// heldEverywhere says whether a name is won on every link that works, of which
// there must be one.
func (e *engine) heldEverywhere(id *identity, name wire.Name) bool {
	links := 0
	for _, l := range e.links {
		if l.group == nil {
			continue
		}
		links++
		if c := l.claims[name.Fold()]; c == nil || c.id != id || c.phase != Held {
			return false
		}
	}
	return links > 0
}
