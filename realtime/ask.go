package realtime

import (
	"context"
	"fmt"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
)

// Ask emits an event to a client and waits for the acknowledgement, whose
// first argument it returns. It ends with the error of ctx, or ErrDisconnected
// when the socket does; an acknowledgement that comes later is ignored. For
// all arguments of the acknowledgement take T = Args.
//
// It may be called from a handler of the same socket: acknowledgements do not
// queue behind events. Only if the client has sent so many, meanwhile, that no
// more is read from it before the handler has returned, it ends with
// ErrOverrun.
func Ask[T any](ctx context.Context, s *Socket, event string, args ...any) (answer T, err error) {
	values, err := s.ask(ctx, event, args)
	if err != nil {
		return answer, err
	}
	return answerOf[T](values)
}

func answerOf[T any](values []Value) (answer T, err error) {
	if all, ok := any(&answer).(*Args); ok {
		*all = values
		return answer, nil
	}
	if len(values) > 0 {
		if err := values[0].Decode(&answer); err != nil {
			return answer, fmt.Errorf("acknowledgement: %w", err)
		}
	}
	return answer, nil
}

type answered struct {
	values []Value
	err    error
}

// ask registers the waiter before the event is sent, as the answer may be
// faster than the return of Send.
func (s *Socket) ask(ctx context.Context, event string, args []any) ([]Value, error) {
	if s.state.Load() == ended {
		return nil, ErrDisconnected
	}
	p, err := s.ns.event(s, adapter.Options{}, event, args)
	if err != nil {
		return nil, err
	}
	p.ID, p.HasID = s.ns.asks.id(), true
	result := make(chan answered, 1)
	if !s.expect(p.ID, func(values []Value, err error) { result <- answered{values, err} }) {
		return nil, ErrDisconnected
	}
	if err := s.send(p, adapter.Flags{}); err != nil {
		s.forget(p.ID)
		return nil, err
	}
	overrun := s.inbox.await()
	defer s.inbox.done()
	s.conn.link.Yield()
	select {
	case a := <-result:
		return a.values, a.err
	case <-overrun:
		s.forget(p.ID)
		select {
		case a := <-result: // came before
			return a.values, a.err
		default:
			return nil, ErrOverrun
		}
	case <-ctx.Done():
		s.forget(p.ID)
		return nil, fmt.Errorf("waiting for the acknowledgement of %q: %w", event, context.Cause(ctx))
	}
}

// expect has answer called once: with the acknowledgement, or when the socket
// ends. It returns false if the socket has ended.
func (s *Socket) expect(id uint64, answer func([]Value, error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == ended {
		return false
	}
	if s.acks == nil {
		s.acks = make(map[uint64]func([]Value, error))
	}
	s.acks[id] = answer
	return true
}

func (s *Socket) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.acks, id)
}

// acknowledged is called with each ACK of the client, on the goroutine that
// reads from the connection. Those that nobody waits for are ignored.
func (s *Socket) acknowledged(p *packet.Packet) {
	s.settle(p.ID, answered{values: p.Values()})
}

// settle says what became of the question with an id.
func (s *Socket) settle(id uint64, result answered) {
	s.mu.Lock()
	answer, ns := s.acks[id], s.ns
	delete(s.acks, id)
	s.mu.Unlock()
	switch {
	case answer != nil:
		answer(result.values, result.err)
	case ns != nil:
		ns.asks.settle(id, s.id, result)
	}
}
