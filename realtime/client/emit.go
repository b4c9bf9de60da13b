package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"server22.local/appliance/realtime/client/engine"
	"server22.local/appliance/realtime/packet"
)

// Emitter is what can be emitted on: a [*Socket], or an [Operator] of one.
type Emitter interface {
	// Emit sends an event with its arguments; see [Socket.Emit].
	Emit(event string, args ...any) error

	asker() Operator
}

// Operator is a socket with flags for what is emitted through it. It does not
// change and may be kept.
type Operator struct {
	socket   *Socket
	volatile bool
	timeout  time.Duration
}

// Volatile returns an operator whose packets are dropped rather than queued:
// when there is no connection, or something else is still to be written. Emit
// does not tell; [Ask] fails with [ErrDropped].
func (s *Socket) Volatile() Operator { return s.asker().Volatile() }

// Timeout returns an operator with another time in which the server is to
// answer, in place of Options.AckTimeout.
func (s *Socket) Timeout(d time.Duration) Operator { return s.asker().Timeout(d) }

// Volatile is as [Socket.Volatile].
func (o Operator) Volatile() Operator {
	o.volatile = true
	return o
}

// Timeout is as [Socket.Timeout].
func (o Operator) Timeout(d time.Duration) Operator {
	o.timeout = d
	return o
}

func (s *Socket) asker() Operator {
	return Operator{socket: s, timeout: s.client.opts.AckTimeout}
}

func (o Operator) asker() Operator { return o }

// Emit sends an event with any number of arguments, for each of which
// [packet.Marshal] says what it becomes; a []byte, wherever it stands, is sent
// as bytes and must not be changed any more. It never blocks. While the socket
// is not connected, the event waits for that.
//
// It fails if the arguments cannot be encoded, and with [ErrReserved],
// [ErrBufferFull], [*TooLargeError] or [ErrClosed]. No error does not mean that
// the server has received the event: for that, [Ask].
func (s *Socket) Emit(event string, args ...any) error {
	return s.asker().Emit(event, args...)
}

// Emit is as [Socket.Emit].
func (o Operator) Emit(event string, args ...any) error {
	p, err := o.socket.newEvent(event, args)
	if err != nil {
		return err
	}
	if o.retried() {
		return o.socket.outbox.add(&parcel{packet: p, timeout: o.timeout})
	}
	err = o.socket.transmit(p, o.volatile, nil)
	if errors.Is(err, ErrDropped) {
		return nil
	}
	return err
}

// ask emits an event and waits for the answer.
func (o Operator) ask(ctx context.Context, event string, args []any) (Args, error) {
	s := o.socket
	p, err := s.newEvent(event, args)
	if err != nil {
		return nil, err
	}
	w := newWaiter()
	if o.retried() {
		err = s.outbox.add(&parcel{packet: p, timeout: o.timeout, waiter: w, given: ctx.Done()})
	} else {
		if o.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, ErrAckTimeout)
			defer cancel()
		}
		err = s.transmit(p, o.volatile, w)
	}
	if err == nil {
		var values Args
		if values, err = w.wait(ctx); err == nil {
			return values, nil
		}
		s.forget(w)
		s.outbox.drop(w)
	}
	return nil, fmt.Errorf("asking %q: %w", event, err)
}

func (o Operator) retried() bool {
	return o.socket.client.opts.Retries > 0 && !o.volatile
}

func (s *Socket) newEvent(event string, args []any) (*packet.Packet, error) {
	if packet.Reserved(event) {
		return nil, fmt.Errorf("%w: %q", ErrReserved, event)
	}
	p, err := packet.NewEvent(s.namespace, event, args...)
	if err != nil {
		return nil, err
	}
	s.emitting(p)
	return p, nil
}

// pending is what a socket has on its way out. The socket's lock guards it.
type pending struct {
	acks     map[uint64]*waiter // of what was written
	nextAck  uint64
	buffer   []*emission // while there is no connection
	buffered int         // bytes in it
	lost     int         // what was in it when the client ended
}

// emission is an event in its encoded form.
type emission struct {
	frames []engine.Message
	size   int
	ack    uint64
	waiter *waiter // nil if no acknowledgement is asked for
}

// transmit sends an event, or keeps it until the socket is connected.
func (s *Socket) transmit(p *packet.Packet, volatile bool, w *waiter) error {
	e, err := s.encode(p, w)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	if s.connected {
		err := s.write(e, engine.SendOptions{Volatile: volatile})
		if !errors.Is(err, engine.ErrClosed) {
			return err
		}
	}
	if volatile {
		return ErrDropped
	}
	if s.buffered > 0 && s.buffered+e.size > s.client.opts.Buffer {
		return ErrBufferFull
	}
	s.buffer = append(s.buffer, e)
	s.buffered += e.size
	return nil
}

// transmitNow sends an event on the connection, or not at all.
func (s *Socket) transmitNow(p *packet.Packet, w *waiter) error {
	e, err := s.encode(p, w)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected {
		return ErrDisconnected
	}
	err = s.write(e, engine.SendOptions{Accepted: true})
	if errors.Is(err, engine.ErrClosed) {
		return ErrDisconnected
	}
	return err
}

// encode gives the event an id, if an acknowledgement is asked for: a new one
// each time, since the server answers an id once.
func (s *Socket) encode(p *packet.Packet, w *waiter) (*emission, error) {
	if w != nil {
		withID := *p
		withID.ID, withID.HasID = s.newAck(), true
		p = &withID
	}
	frames, err := encode(s.client.opts.Parser, p)
	if err != nil {
		return nil, fmt.Errorf("encoding event %q: %w", p.Name(), err)
	}
	e := &emission{frames: frames, ack: p.ID, waiter: w}
	for _, f := range frames {
		e.size += len(f.Data)
	}
	return e, nil
}

func (s *Socket) newAck() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextAck++
	return s.nextAck - 1
}

// write wants s.mu held and the socket connected. The waiter is there before
// the packet is, as the answer may come at once.
func (s *Socket) write(e *emission, o engine.SendOptions) error {
	if e.waiter != nil {
		s.acks[e.ack] = e.waiter
	}
	err := s.session.send(e.frames, o)
	if err == nil {
		return nil
	}
	delete(s.acks, e.ack)
	switch {
	case errors.Is(err, engine.ErrNotWritable):
		return ErrDropped
	case errors.Is(err, engine.ErrQueueFull):
		return ErrBufferFull
	}
	return err
}

// flush sends what waited for the connection. It wants s.mu held.
func (s *Socket) flush() {
	for i, e := range s.buffer {
		err := s.write(e, engine.SendOptions{Accepted: true})
		switch {
		case errors.Is(err, engine.ErrClosed):
			s.buffer = slices.Clone(s.buffer[i:]) // for the next connection
			return
		case err != nil && e.waiter != nil:
			e.waiter.end(answer{err: err})
		case err != nil:
			s.reportLater("", err)
		}
		s.buffered -= e.size
	}
	s.buffer = nil
}

// forget lets go of a waiter, and of its event if that was not yet written.
func (s *Socket) forget(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, other := range s.acks {
		if other == w {
			delete(s.acks, id)
			return
		}
	}
	for i, e := range s.buffer {
		if e.waiter == w {
			s.buffered -= e.size
			s.buffer = slices.Delete(s.buffer, i, i+1)
			return
		}
	}
}

// takeAcks wants s.mu held.
func (s *Socket) takeAcks() []*waiter {
	waiting := make([]*waiter, 0, len(s.acks))
	for _, w := range s.acks {
		waiting = append(waiting, w)
	}
	clear(s.acks)
	return waiting
}

// takeBuffered wants s.mu held.
func (s *Socket) takeBuffered() []*waiter {
	var waiting []*waiter
	for _, e := range s.buffer {
		if e.waiter != nil {
			waiting = append(waiting, e.waiter)
		}
	}
	s.lost = len(s.buffer)
	s.buffer, s.buffered = nil, 0
	return waiting
}

// unsent is the number of events that the end of the client found waiting.
func (s *Socket) unsent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost + s.outbox.lostCount()
}
