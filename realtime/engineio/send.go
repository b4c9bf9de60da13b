package engineio

// SendOptions says how a packet is sent. The zero value is the usual way.
type SendOptions struct {
	// Volatile drops the packet if the peer is not able to take it now: its
	// connection is congested, or no poll waits.
	Volatile bool
	// Uncompressed sends the packet as it is even where compression was
	// agreed.
	Uncompressed bool
	// Ahead keeps back for a moment what follows the packet over a WebSocket:
	// see "What goes ahead" in the package's documentation.
	Ahead bool
	// Batch collects the sockets that have something to write, so that a
	// broadcast hands them over in one go; nil hands over this one at once.
	// Nothing may be written before Batch.Flush.
	Batch *Batch
}

// Send queues a packet. It returns false if the packet was dropped: the socket
// is closed, the packet is volatile and the peer not ready, or the queue is
// full.
func (s *Socket) Send(p *Packet, o SendOptions) bool {
	s.mu.Lock()
	if s.state != open || o.Volatile && !s.writable() {
		s.mu.Unlock()
		s.server.dropped(s, p)
		return false
	}
	if !s.fits(p, s.server.o.Queue.Bytes) {
		s.mu.Unlock()
		return s.overflow(p, o)
	}
	ahead := o.Ahead && s.ws != nil // a poll takes all there is, which spares a round trip
	s.push(item{packet: p, volatile: o.Volatile, plain: o.Uncompressed, ahead: ahead})
	flush := s.schedule()
	s.mu.Unlock()
	if flush {
		s.hand(o.Batch)
	}
	return true
}

// sendControl queues a packet of the protocol, which the queue's limit does
// not concern.
func (s *Socket) sendControl(p *Packet, b *Batch) {
	s.mu.Lock()
	flush := false
	if s.state == open {
		s.push(item{packet: p, plain: true})
		flush = s.schedule()
	}
	s.mu.Unlock()
	if flush {
		s.hand(b)
	}
}

// overflow makes room at the expense of volatile packets, or gives up.
func (s *Socket) overflow(p *Packet, o SendOptions) bool {
	s.mu.Lock()
	purged := s.purgeVolatile()
	fits := s.fits(p, s.server.o.Queue.Bytes)
	s.mu.Unlock()
	for _, q := range purged {
		s.server.dropped(s, q)
	}
	if fits {
		return s.Send(p, o)
	}
	s.server.dropped(s, p)
	if !s.server.o.Queue.DropNewest && !o.Volatile {
		s.end(ReasonQueueFull, errQueueIsFull, abrupt)
	}
	return false
}

// writable says whether a packet would leave at once; mu is held.
func (s *Socket) writable() bool {
	if s.ws != nil {
		return s.inFlight == 0
	}
	return s.poll != nil
}

// schedule says whether the caller must see to a flush; mu is held.
func (s *Socket) schedule() bool {
	if s.handed || s.writing || s.ws == nil && s.poll == nil {
		return false
	}
	if s.corks > 0 {
		s.flushSoon()
		return false
	}
	if s.rests() {
		return false
	}
	s.handed = true
	return true
}

// hand passes the socket on to be flushed.
func (s *Socket) hand(b *Batch) {
	if b != nil {
		b.sockets = append(b.sockets, s)
		return
	}
	s.server.flushers.add(s)
}

// Cork holds back what is sent to the socket until Uncork, so that it leaves in
// one write: for a goroutine that works through several messages. It is a
// hint, not a lock: after a few milliseconds it leaves anyway. Corks nest and
// may be held by several goroutines; every Cork needs its Uncork.
func (s *Socket) Cork() {
	s.mu.Lock()
	s.corks++
	s.mu.Unlock()
}

// Uncork writes what was held back, if no other cork is left. It does not
// block.
func (s *Socket) Uncork() {
	s.mu.Lock()
	s.corks--
	flush := len(s.queue) > 0 && s.schedule()
	s.mu.Unlock()
	if flush {
		sc := takeScratch()
		s.flush(sc)
		sc.release()
	}
}
