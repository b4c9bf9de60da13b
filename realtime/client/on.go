package client

import "context"

// On0 adds a handler for an event without arguments. When f has returned, a
// server that asked for an acknowledgement gets it: empty, or the error (see
// Options.AckError). The same holds for On, On2 and On3.
//
// Arguments that the server leaves out are zero values, those beyond are
// ignored, and those that do not fit their types make an [*ArgumentError].
//
// The returned function removes the handler. A handler that is being called
// goes on.
func On0(s *Socket, event string, f func(ctx context.Context, s *Socket) error) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		return e.finish(f(ctx, e.Socket))
	})
}

// On adds a handler for an event with one argument; see [On0].
func On[A any](s *Socket, event string, f func(ctx context.Context, s *Socket, a A) error) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		return e.finish(f(ctx, e.Socket, a))
	})
}

// On2 adds a handler for an event with two arguments; see [On0].
func On2[A, B any](s *Socket, event string, f func(ctx context.Context, s *Socket, a A, b B) error) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		if err := e.Scan(&a, &b); err != nil {
			return err
		}
		return e.finish(f(ctx, e.Socket, a, b))
	})
}

// On3 adds a handler for an event with three arguments; see [On0].
func On3[A, B, C any](s *Socket, event string, f func(ctx context.Context, s *Socket, a A, b B, c C) error) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		var c C
		if err := e.Scan(&a, &b, &c); err != nil {
			return err
		}
		return e.finish(f(ctx, e.Socket, a, b, c))
	})
}

// OnArgs adds a handler for an event with any number of arguments, as they
// came. It is f that acknowledges, then or later, by e.Ack; an error that it
// returns is the acknowledgement if there was none yet.
func OnArgs(s *Socket, event string, f func(ctx context.Context, e *Event) error) (remove func()) {
	return s.on(event, f)
}

// OnAck adds a handler for an event with one argument that leaves the
// acknowledgement to f, which may send it later and from another goroutine.
func OnAck[A any](s *Socket, event string, f func(ctx context.Context, s *Socket, a A, ack *Ack) error) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		return f(ctx, e.Socket, a, &e.Ack)
	})
}

// Values is several values in place of one: [Handle] with the result Values
// acknowledges with each of them.
type Values []any

// Handle0 adds a handler for an event without arguments; what f returns is the
// acknowledgement, or its error (see Options.AckError). To acknowledge with
// several values, return [Values].
func Handle0[R any](s *Socket, event string, f func(ctx context.Context, s *Socket) (R, error)) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		r, err := f(ctx, e.Socket)
		return e.reply(r, err)
	})
}

// Handle adds a handler for an event with one argument; see [Handle0].
func Handle[A, R any](s *Socket, event string, f func(ctx context.Context, s *Socket, a A) (R, error)) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		var a A
		if err := e.Scan(&a); err != nil {
			return err
		}
		r, err := f(ctx, e.Socket, a)
		return e.reply(r, err)
	})
}

// Handle2 adds a handler for an event with two arguments; see [Handle0].
func Handle2[A, B, R any](s *Socket, event string, f func(ctx context.Context, s *Socket, a A, b B) (R, error)) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		if err := e.Scan(&a, &b); err != nil {
			return err
		}
		r, err := f(ctx, e.Socket, a, b)
		return e.reply(r, err)
	})
}

// Handle3 adds a handler for an event with three arguments; see [Handle0].
func Handle3[A, B, C, R any](s *Socket, event string, f func(ctx context.Context, s *Socket, a A, b B, c C) (R, error)) (remove func()) {
	return s.on(event, func(ctx context.Context, e *Event) error {
		var a A
		var b B
		var c C
		if err := e.Scan(&a, &b, &c); err != nil {
			return err
		}
		r, err := f(ctx, e.Socket, a, b, c)
		return e.reply(r, err)
	})
}
