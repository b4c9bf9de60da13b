package realtime

import (
	"context"
	"iter"
)

// Answer is what one receiver of a broadcast has answered.
type Answer[T any] struct {
	Value T
	Err   error // of the context, ErrDisconnected, ErrDropped, or of decoding
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
		if b.ns == nil {
			yield("", answered{err: ErrNoNamespace})
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
