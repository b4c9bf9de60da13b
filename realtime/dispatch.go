package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"server22.local/appliance/realtime/packet"
)

// handle runs the handlers of an event.
func (s *Socket) handle(p *packet.Packet) {
	e := &Event{Socket: s, packet: p, Ack: Ack{socket: s, id: p.ID, wanted: p.HasID}}
	hooks := &s.server().o.Hooks
	if hooks.Received != nil {
		hooks.Received(s, e.Name())
	}
	var begin time.Time
	if hooks.Handled != nil {
		begin = time.Now()
	}
	err := s.guarded(func() error { return s.dispatch(e) })
	if hooks.Handled != nil {
		hooks.Handled(s, e.Name(), time.Since(begin), err)
	}
	if err != nil {
		s.call("AckError", func() { s.failed(e, err) })
	}
}

// failed tells the client and the log about the error of a handler.
func (s *Socket) failed(e *Event, err error) {
	s.report("event failed", err, slog.String("event", e.Name()))
	if err := e.Ack.Fail(err); err != nil {
		s.server().o.Logger.LogAttrs(s.Context(), slog.LevelDebug, "acknowledging an error", slog.Any("err", err))
	}
}

// dispatch lets middlewares, catch-alls and handlers have the event.
func (s *Socket) dispatch(e *Event) error {
	ctx := s.Context()
	var space [3]*registry
	registries := s.registries(space[:0])
	for _, r := range registries {
		if err := e.pass(ctx, r.use.all()); err != nil {
			return err
		}
	}
	for _, r := range registries {
		if err := e.pass(ctx, r.any.all()); err != nil {
			return err
		}
	}
	for _, r := range registries {
		if err := e.pass(ctx, r.find(e.packet)); err != nil {
			return err
		}
	}
	return nil
}

// pass gives the event to each handler, until one returns an error.
func (e *Event) pass(ctx context.Context, handlers []*handler) error {
	for _, h := range handlers {
		if err := (*h)(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// registries appends all places where handlers of this socket are.
func (s *Socket) registries(dst []*registry) []*registry {
	if parent := s.ns.parent; parent != nil {
		dst = append(dst, &parent.registry)
	}
	dst = append(dst, &s.ns.registry)
	if own := s.own.Load(); own != nil {
		dst = append(dst, own)
	}
	return dst
}

// guarded runs what the program has given us. A panic ends this socket, and
// nobody else's; it is returned, for whoever called to report.
func (s *Socket) guarded(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
			if s.state.Load() != connecting {
				s.leave(ReasonPanic)
			}
		}
	}()
	return fn()
}

// call is guarded for what returns nothing.
func (s *Socket) call(what string, fn func()) {
	err := s.guarded(func() error { fn(); return nil })
	if err != nil {
		s.report(what+" failed", err)
	}
}

// panicked is the error of a callback that has panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// report logs what has failed, once.
func (s *Socket) report(what string, err error, more ...slog.Attr) {
	attrs := append(more, slog.String("nsp", s.name), slog.String("sid", s.id), slog.Any("err", err))
	if p, ok := errors.AsType[*panicked](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	s.server().o.Logger.LogAttrs(s.Context(), s.levelOf(err), what, attrs...)
}
