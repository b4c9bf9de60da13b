package realtime

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"

	"server22.local/appliance/realtime/packet"
)

// Events is where handlers can be put: a *Server (for its main namespace), a
// *Namespace, a *Parent (for all namespaces that it makes), or one *Socket.
// Several handlers of an event run one after the other, in the order in which
// they were put there; those of the parent first, those of the socket last.
type Events interface{ events() *registry }

// handler runs with a decoded event or decodes it itself.
type handler func(ctx context.Context, e *Event) error

// registry maps events to handlers. Reading takes no lock.
type registry struct {
	mu       sync.Mutex // serialises writers
	handlers atomic.Pointer[map[string]*list[handler]]
	any      list[handler]
	use      list[handler]
}

func (r *registry) events() *registry { return r }

// add puts a handler behind those of the event, and returns what takes it out.
func (r *registry) add(event string, h handler) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	handlers := make(map[string]*list[handler])
	if old := r.handlers.Load(); old != nil {
		handlers = *old
	}
	l := handlers[event]
	if l == nil {
		l = new(list[handler])
		handlers = maps.Clone(handlers)
		handlers[event] = l
		r.handlers.Store(&handlers)
	}
	take := l.add(h)
	return func() {
		take()
		r.drop(event, func(l *list[handler]) bool { return len(l.all()) == 0 })
	}
}

// drop forgets all handlers of an event, if there are such.
func (r *registry) drop(event string, such func(*list[handler]) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.handlers.Load()
	if old == nil || (*old)[event] == nil || !such((*old)[event]) {
		return
	}
	handlers := maps.Clone(*old)
	delete(handlers, event)
	r.handlers.Store(&handlers)
}

// find returns the handlers of an event. It does not allocate for names that
// are plain ASCII.
func (r *registry) find(p *packet.Packet) []*handler {
	handlers := r.handlers.Load()
	if handlers == nil {
		return nil
	}
	var l *list[handler]
	if plain, ok := p.PlainName(); ok {
		l = (*handlers)[string(plain)]
	} else {
		l = (*handlers)[p.Name()]
	}
	if l == nil {
		return nil
	}
	return l.all()
}

// OnAny has fn run for every event, before its handlers, until remove is
// called. What fn returns is treated like the error of a handler.
func (r *registry) OnAny(fn func(ctx context.Context, e *Event) error) (remove func()) {
	return r.any.add(fn)
}

// UseEvent puts a middleware before all that handles events, OnAny included,
// until remove is called: if it returns an error, the event goes no further
// and the client is told as if a handler had returned it.
func (r *registry) UseEvent(fn func(ctx context.Context, e *Event) error) (remove func()) {
	return r.use.add(fn)
}

// Off removes all handlers of an event that were put here.
func (r *registry) Off(event string) {
	r.drop(event, func(*list[handler]) bool { return true })
}

// On0 handles an event without arguments. When fn has returned, the client
// that asked for an acknowledgement gets it: empty, or the error (see
// Options.AckError). The same holds for On, On2 and On3.
//
// The returned function takes this handler out again, and leaves others of the
// event where they are; Off removes them all.
//
// Arguments that a client leaves out are zero values, those beyond are
// ignored, and those that do not fit their types are refused as an
// ArgumentError before fn is called.
func On0(on Events, event string, fn func(ctx context.Context, s *Socket) error) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		return e.finish(fn(ctx, e.Socket))
	})
}

// On handles an event with one argument; see On0.
func On[A any](on Events, event string, fn func(ctx context.Context, s *Socket, a A) error) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		return e.finish(fn(ctx, e.Socket, a))
	})
}

// On2 handles an event with two arguments; see On0.
func On2[A, B any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B) error) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		if err := e.Scan(&a, &b); err != nil {
			return err
		}
		return e.finish(fn(ctx, e.Socket, a, b))
	})
}

// On3 handles an event with three arguments; see On0.
func On3[A, B, C any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B, c C) error) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		var c C
		if err := e.Scan(&a, &b, &c); err != nil {
			return err
		}
		return e.finish(fn(ctx, e.Socket, a, b, c))
	})
}

// OnArgs handles an event with any number of arguments, as they came. It is
// fn that acknowledges, then or later, by e.Ack; an error that it returns is
// the acknowledgement if there was none yet.
func OnArgs(on Events, event string, fn func(ctx context.Context, e *Event) error) (remove func()) {
	return on.events().add(event, fn)
}

// OnAck handles an event with one argument and leaves the acknowledgement to
// fn, which may send it later and from another goroutine: for what takes its
// time while the next events of the socket need not wait.
func OnAck[A any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, ack *Ack) error) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		return fn(ctx, e.Socket, a, &e.Ack)
	})
}

// Handle0 handles an event without arguments; what fn returns is the
// acknowledgement, or its error (see Options.AckError). To acknowledge with
// several values, return Values.
func Handle0[R any](on Events, event string, fn func(ctx context.Context, s *Socket) (R, error)) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		r, err := fn(ctx, e.Socket)
		return e.reply(r, err)
	})
}

// Handle handles an event with one argument; see Handle0.
func Handle[A, R any](on Events, event string, fn func(ctx context.Context, s *Socket, a A) (R, error)) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		r, err := fn(ctx, e.Socket, a)
		return e.reply(r, err)
	})
}

// Handle2 handles an event with two arguments; see Handle0.
func Handle2[A, B, R any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B) (R, error)) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		if err := e.Scan(&a, &b); err != nil {
			return err
		}
		r, err := fn(ctx, e.Socket, a, b)
		return e.reply(r, err)
	})
}

// Handle3 handles an event with three arguments; see Handle0.
func Handle3[A, B, C, R any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B, c C) (R, error)) (remove func()) {
	return on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		var c C
		if err := e.Scan(&a, &b, &c); err != nil {
			return err
		}
		r, err := fn(ctx, e.Socket, a, b, c)
		return e.reply(r, err)
	})
}

// Values is several values in place of one: Handle with the result Values
// acknowledges with each of them.
type Values []any
