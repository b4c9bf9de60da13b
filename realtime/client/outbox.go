package client

import (
	"errors"
	"slices"
	"sync"
	"time"

	"server22.local/appliance/realtime/packet"
)

// outbox delivers with Options.Retries: one event at a time, in order, again
// and again until the server has acknowledged it.
type outbox struct {
	socket *Socket

	mu      sync.Mutex // guards all following fields
	parcels []*parcel
	bytes   int
	working bool // a goroutine delivers
	poked   bool // there was a reason to look since it last did
	retired bool // nothing is taken any more
	ended   bool // nothing is delivered any more
	lost    int
}

// parcel is an event that is to be delivered.
type parcel struct {
	packet  *packet.Packet
	timeout time.Duration
	waiter  *waiter         // of Ask, nil for Emit
	given   <-chan struct{} // closed when Ask gives up, nil for Emit
}

func (b *outbox) add(p *parcel) error {
	size := sizeOf(p.packet)
	b.mu.Lock()
	switch {
	case b.retired:
		b.mu.Unlock()
		return ErrClosed
	case b.bytes > 0 && b.bytes+size > b.socket.client.opts.Buffer:
		b.mu.Unlock()
		return ErrBufferFull
	}
	b.parcels = append(b.parcels, p)
	b.bytes += size
	b.mu.Unlock()
	b.nudge()
	return nil
}

// nudge has the parcels delivered, if there are any and the socket is
// connected.
func (b *outbox) nudge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.poked = true
	if !b.working && len(b.parcels) > 0 {
		b.working = b.socket.client.task(b.work)
	}
}

func (b *outbox) work() {
	for {
		p := b.next()
		if p == nil {
			return
		}
		if b.socket.post(p) {
			b.remove(p)
		} else if !b.again() {
			return
		}
	}
}

func (b *outbox) next() *parcel {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.poked = false
	if len(b.parcels) == 0 || b.ended {
		b.working = false
		return nil
	}
	return b.parcels[0]
}

// again tells whether there was a nudge while the last try failed; if not, the
// worker is to end until there is one.
func (b *outbox) again() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.working = b.poked
	return b.poked
}

func (b *outbox) remove(p *parcel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.parcels, p); i >= 0 {
		b.parcels = slices.Delete(b.parcels, i, i+1)
		b.bytes -= sizeOf(p.packet)
	}
}

// drop removes the parcel of an Ask that gave up.
func (b *outbox) drop(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parcels = slices.DeleteFunc(b.parcels, func(p *parcel) bool {
		if p.waiter == w {
			b.bytes -= sizeOf(p.packet)
			return true
		}
		return false
	})
}

func (b *outbox) retire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retired = true
}

func (b *outbox) abandon() {
	b.mu.Lock()
	parcels := b.parcels
	b.retired = true
	b.ended, b.parcels, b.bytes, b.lost = true, nil, 0, len(parcels)
	b.mu.Unlock()
	for _, p := range parcels {
		if p.waiter != nil {
			p.waiter.end(answer{err: ErrClosed})
		}
	}
}

func (b *outbox) lostCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// post tries to deliver a parcel and returns whether it is done with, for
// better or worse. It is not when the connection is lost: then it starts anew
// on the next one, and what was tried before does not count.
func (s *Socket) post(p *parcel) bool {
	for range s.client.opts.Retries + 1 {
		a, given := s.try(p)
		switch {
		case given:
			return true
		case errors.Is(a.err, ErrAckTimeout):
			continue
		case errors.Is(a.err, ErrDisconnected), errors.Is(a.err, ErrClosed):
			return false
		}
		s.settle(p, a)
		return true
	}
	s.settle(p, answer{err: ErrAckTimeout})
	return true
}

func (s *Socket) settle(p *parcel, a answer) {
	switch {
	case p.waiter != nil:
		p.waiter.end(a)
	case a.err != nil:
		s.reportLater(p.packet.Name(), a.err)
	}
}

// try sends a parcel once. given says that nobody waits for the answer any
// more.
func (s *Socket) try(p *parcel) (a answer, given bool) {
	select {
	case <-p.given:
		return a, true
	default:
	}
	w := newWaiter()
	if err := s.transmitNow(p.packet, w); err != nil {
		return answer{err: err}, false
	}
	late := time.NewTimer(p.timeout)
	defer late.Stop()
	select {
	case a := <-w.done:
		return a, false
	case <-late.C:
		a.err = ErrAckTimeout
	case <-p.given:
		given = true
	}
	s.forget(w)
	return a, given
}
