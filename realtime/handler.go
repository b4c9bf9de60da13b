package realtime

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
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
	handlers atomic.Pointer[map[string][]handler]
	any      atomic.Pointer[[]handler]
	use      atomic.Pointer[[]handler]
}

func (r *registry) events() *registry { return r }

func (r *registry) add(name string, h handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	handlers := make(map[string][]handler)
	if old := r.handlers.Load(); old != nil {
		maps.Copy(handlers, *old)
	}
	handlers[name] = append(slices.Clip(handlers[name]), h)
	r.handlers.Store(&handlers)
}

func (r *registry) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.handlers.Load(); old != nil {
		handlers := maps.Clone(*old)
		delete(handlers, name)
		r.handlers.Store(&handlers)
	}
}

// push appends to a list that is read without a lock.
func push[T any](r *sync.Mutex, list *atomic.Pointer[[]T], v T) {
	r.Lock()
	defer r.Unlock()
	var next []T
	if old := list.Load(); old != nil {
		next = slices.Clip(*old)
	}
	next = append(next, v)
	list.Store(&next)
}

func load[T any](list *atomic.Pointer[[]T]) []T {
	if l := list.Load(); l != nil {
		return *l
	}
	return nil
}

// find returns the handlers of the event that raw, a JSON string, names. It
// does not allocate for names without escapes.
func (r *registry) find(p *packet.Packet) []handler {
	handlers := r.handlers.Load()
	if handlers == nil {
		return nil
	}
	if plain, ok := plainName(p.Args[0]); ok {
		return (*handlers)[string(plain)]
	}
	return (*handlers)[p.Name()]
}

// plainName returns what stands between the quotes of a JSON string without
// escapes.
func plainName(raw json.RawMessage) ([]byte, bool) {
	if raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}

// OnAny has fn run for every event, before its handlers. What fn returns is
// treated like the error of a handler.
func (r *registry) OnAny(fn func(ctx context.Context, e *Event) error) {
	push(&r.mu, &r.any, handler(fn))
}

// UseEvent puts a middleware before all handlers of events: if it returns an
// error, the event goes no further and the client is told as if a handler had
// returned it.
func (r *registry) UseEvent(fn func(ctx context.Context, e *Event) error) {
	push(&r.mu, &r.use, handler(fn))
}

// Off removes all handlers of an event that were put here.
func (r *registry) Off(event string) { r.remove(event) }

// On0 handles an event without arguments. When fn has returned, the client
// that asked for an acknowledgement gets it: empty, or the error (see
// Options.AckError). The same holds for On, On2 and On3.
//
// Arguments that a client leaves out are zero values, those beyond are
// ignored, and those that do not fit their types are refused as an
// ArgumentError before fn is called.
func On0(on Events, event string, fn func(ctx context.Context, s *Socket) error) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
		return e.finish(fn(ctx, e.Socket))
	})
}

// On handles an event with one argument; see On0.
func On[A any](on Events, event string, fn func(ctx context.Context, s *Socket, a A) error) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		return e.finish(fn(ctx, e.Socket, a))
	})
}

// On2 handles an event with two arguments; see On0.
func On2[A, B any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B) error) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		if err := e.Scan(&a, &b); err != nil {
			return err
		}
		return e.finish(fn(ctx, e.Socket, a, b))
	})
}

// On3 handles an event with three arguments; see On0.
func On3[A, B, C any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B, c C) error) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
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
func OnArgs(on Events, event string, fn func(ctx context.Context, e *Event) error) {
	on.events().add(event, fn)
}

// OnAck handles an event with one argument and leaves the acknowledgement to
// fn, which may send it later and from another goroutine: for what takes its
// time while the next events of the socket need not wait.
func OnAck[A any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, ack *Ack) error) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
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
func Handle0[R any](on Events, event string, fn func(ctx context.Context, s *Socket) (R, error)) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
		r, err := fn(ctx, e.Socket)
		return e.reply(r, err)
	})
}

// Handle handles an event with one argument; see Handle0.
func Handle[A, R any](on Events, event string, fn func(ctx context.Context, s *Socket, a A) (R, error)) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		r, err := fn(ctx, e.Socket, a)
		return e.reply(r, err)
	})
}

// Handle2 handles an event with two arguments; see Handle0.
func Handle2[A, B, R any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B) (R, error)) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
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
func Handle3[A, B, C, R any](on Events, event string, fn func(ctx context.Context, s *Socket, a A, b B, c C) (R, error)) {
	on.events().add(event, func(ctx context.Context, e *Event) error {
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
