package realtime

import (
	"context"
	"iter"

	"server22.local/appliance/realtime/packet"
)

// ServerSideEmit sends an event to all other servers of the cluster, where
// OnServerSide handles it. With the in-memory adapter there are none.
func (n *Namespace) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	values, err := serverSideArgs(event, args)
	if err != nil {
		return err
	}
	return n.adapter.ServerSideEmit(ctx, values, nil)
}

// AskServers is ServerSideEmit that waits for the answers of the other
// servers, and yields them as they come. It ends with ctx, whose error is the
// last answer if some are missing.
func AskServers[T any](ctx context.Context, n *Namespace, event string, args ...any) iter.Seq[Answer[T]] {
	return func(yield func(Answer[T]) bool) {
		values, err := serverSideArgs(event, args)
		if err != nil {
			yield(Answer[T]{Err: err})
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		answers, ended := make(chan []Value), make(chan error, 1)
		go func() {
			ended <- n.adapter.ServerSideEmit(ctx, values, func(answer []Value) {
				select {
				case answers <- answer:
				case <-ctx.Done():
				}
			})
		}()
		for {
			select {
			case values := <-answers:
				var a Answer[T]
				a.Value, a.Err = answerOf[T](values)
				if !yield(a) {
					return
				}
			case err := <-ended:
				if err != nil {
					yield(Answer[T]{Err: err})
				}
				return
			}
		}
	}
}

func serverSideArgs(event string, args []any) ([]Value, error) {
	if packet.Reserved(event) {
		return nil, ErrReserved
	}
	p, err := packet.NewEvent("/", event, args...)
	if err != nil {
		return nil, err
	}
	name, err := packet.NewValue(event)
	return append([]Value{name}, p.Values()...), err
}

// OnServerSide handles an event that another server of the cluster has
// emitted, until remove is called. What fn returns is the answer, if the other
// waits for one; after an error there is none. Events of one namespace may be
// handled at the same time.
func (n *Namespace) OnServerSide(event string, fn func(args Args) (any, error)) (remove func()) {
	if fn == nil {
		return func() {}
	}
	return n.remote.add(remoteHandler{event, fn})
}

type remoteHandler struct {
	event string
	run   func(args Args) (any, error)
}

// serverSide runs the handlers of an event of another server.
func (n *Namespace) serverSide(args []Value, answer func([]Value)) {
	var event string
	if len(args) == 0 || args[0].Decode(&event) != nil {
		return
	}
	for _, h := range n.remote.all() {
		if h.event != event {
			continue
		}
		result, err := h.run(args[1:])
		if err != nil {
			n.server.o.Logger.Error("server-side event failed", "nsp", n.name, "event", event, "err", err)
			continue
		}
		if answer == nil {
			continue
		}
		if v, err := packet.NewValue(result); err == nil {
			answer([]Value{v})
			answer = nil
		}
	}
}
