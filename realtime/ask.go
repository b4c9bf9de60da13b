package realtime

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
)

// Ask emits an event to a client and waits for the acknowledgement, whose
// first argument it returns. It ends with the error of ctx, or ErrDisconnected
// when the socket does; an acknowledgement that comes later is ignored. For
// all arguments of the acknowledgement take T = Args.
//
// It may be called from a handler of the same socket: acknowledgements do not
// queue behind events.
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
	p.ID, p.HasID = s.ns.asks.next.Add(1)-1, true
	result := make(chan answered, 1)
	if !s.expect(p.ID, func(values []Value, err error) { result <- answered{values, err} }) {
		return nil, ErrDisconnected
	}
	if err := s.send(p, sendFlags{}); err != nil {
		s.forget(p.ID)
		return nil, err
	}
	select {
	case a := <-result:
		return a.values, a.err
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
	s.mu.Lock()
	answer := s.acks[p.ID]
	delete(s.acks, p.ID)
	s.mu.Unlock()
	if answer != nil {
		answer(p.Values(), nil)
		return
	}
	s.mu.Lock()
	ns := s.ns
	s.mu.Unlock()
	if ns != nil {
		ns.asks.answer(p.ID, s.id, p.Values())
	}
}

// Answer is what one receiver of a broadcast has answered.
type Answer[T any] struct {
	Value T
	Err   error // of the context, ErrDisconnected, or of decoding
}

// AskAll emits an event to the chosen sockets and yields the acknowledgement
// of each, by the socket's id, as they come; and, when the time is over, the
// error of ctx for those that are missing. The time is bounded by ctx or
// Timeout: without a deadline the one answer is ErrNoTimeout, under an empty
// id. Nothing is sent before the sequence is ranged over.
func AskAll[T any](ctx context.Context, to BroadcastOperator, event string, args ...any) iter.Seq2[string, Answer[T]] {
	return func(yield func(string, Answer[T]) bool) {
		for id, a := range to.ask(ctx, event, args) {
			answer := Answer[T]{Err: a.err}
			if a.err == nil {
				answer.Value, answer.Err = answerOf[T](a.values)
			}
			if !yield(id, answer) {
				return
			}
		}
	}
}

func (b BroadcastOperator) ask(ctx context.Context, event string, args []any) iter.Seq2[string, answered] {
	return func(yield func(string, answered) bool) {
		if b.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, b.timeout)
			defer cancel()
		}
		if _, bounded := ctx.Deadline(); !bounded {
			yield("", answered{err: ErrNoTimeout})
			return
		}
		p, err := b.ns.event(nil, b.options, event, args)
		if err != nil {
			yield("", answered{err: err})
			return
		}
		a := b.ns.asks.begin(p)
		defer b.ns.asks.end(p.ID)
		if err := b.ns.adapter.BroadcastWithAck(ctx, p, b.options, a.expect, a.answer); err != nil {
			yield("", answered{err: err})
			return
		}
		a.collect(ctx, yield)
	}
}

// asks are the broadcasts of a namespace whose acknowledgements are awaited.
// All ids of a namespace come from one counter, so that one id means the same
// to all sockets.
type asks struct {
	next atomic.Uint64

	mu   sync.Mutex // guards all following
	open map[uint64]*asking
}

// asking is one such broadcast.
type asking struct {
	mu      sync.Mutex // guards all following
	missing map[string]bool
	ready   []named
	wake    chan struct{} // has a value if something changed
}

type named struct {
	id string
	answered
}

func (a *asks) begin(p *packet.Packet) *asking {
	p.ID, p.HasID = a.next.Add(1)-1, true
	one := &asking{missing: make(map[string]bool), wake: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = make(map[uint64]*asking)
	}
	a.open[p.ID] = one
	return one
}

func (a *asks) end(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, id)
}

func (a *asks) answer(id uint64, socket string, values []Value) {
	a.mu.Lock()
	one := a.open[id]
	a.mu.Unlock()
	if one != nil {
		one.answer(socket, values)
	}
}

// fail settles a receiver that could not be sent to.
func (a *asks) fail(id uint64, socket string, err error) {
	a.mu.Lock()
	one := a.open[id]
	a.mu.Unlock()
	if one != nil {
		one.settle(socket, answered{err: err})
	}
}

// gone tells all that wait that a socket will not answer.
func (a *asks) gone(socket string) {
	a.mu.Lock()
	open := make([]*asking, 0, len(a.open))
	for _, one := range a.open {
		open = append(open, one)
	}
	a.mu.Unlock()
	for _, one := range open {
		one.settle(socket, answered{err: ErrDisconnected})
	}
}

// forward passes answers of local sockets on to another server's asking.
func (a *asks) forward(id uint64, members []adapter.Member, answer func(string, []Value)) (stop func()) {
	stops := make([]func(), 0, len(members))
	for _, m := range members {
		s := m.(*Socket)
		if s.expect(id, func(values []Value, err error) {
			if err == nil {
				answer(s.id, values)
			}
		}) {
			stops = append(stops, func() { s.forget(id) })
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

func (a *asking) expect(ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.missing[id] = true
	}
}

func (a *asking) answer(socket string, values []Value) { a.settle(socket, answered{values: values}) }

func (a *asking) settle(socket string, result answered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.missing[socket] {
		return
	}
	delete(a.missing, socket)
	a.ready = append(a.ready, named{socket, result})
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns what has come, and whether more may.
func (a *asking) take() (ready []named, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ready, a.ready = a.ready, nil
	return ready, len(a.missing) > 0
}

func (a *asking) collect(ctx context.Context, yield func(string, answered) bool) {
	for {
		ready, more := a.take()
		for _, r := range ready {
			if !yield(r.id, r.answered) {
				return
			}
		}
		if len(ready) > 0 {
			continue
		}
		if !more {
			return
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			a.giveUp(context.Cause(ctx), yield)
			return
		}
	}
}

// giveUp yields what came last, and the error for those who did not answer.
func (a *asking) giveUp(err error, yield func(string, answered) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.missing {
		a.ready = append(a.ready, named{id, answered{err: err}})
	}
	ready := a.ready
	clear(a.missing)
	a.mu.Unlock()
	defer a.mu.Lock()
	for _, r := range ready {
		if !yield(r.id, r.answered) {
			return
		}
	}
}
