package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"server22.local/appliance/realtime/packet"
)

// waiter waits for one acknowledgement.
type waiter struct{ done chan answer }

type answer struct {
	values Args
	err    error
}

func newWaiter() *waiter { return &waiter{done: make(chan answer, 1)} }

// end gives the waiter its answer. Only the first one counts.
func (w *waiter) end(a answer) {
	select {
	case w.done <- a:
	default:
	}
}

func (w *waiter) wait(ctx context.Context) (Args, error) {
	select {
	case a := <-w.done:
		return a.values, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// answered hands an acknowledgement to its waiter. One that nobody waits for
// any more is ignored.
func (s *Socket) answered(p *packet.Packet) {
	s.mu.Lock()
	w := s.acks[p.ID]
	delete(s.acks, p.ID)
	s.mu.Unlock()
	if w != nil {
		w.end(answer{values: p.Values()})
	}
}

// Ask emits an event and returns the first argument of the server's
// acknowledgement, decoded as R; the zero R if there is none. For all of its
// arguments take R = [Args].
//
// It waits until the answer comes, ctx ends, the Timeout of the operator or
// Options.AckTimeout is over ([ErrAckTimeout]), the connection on which the
// event was sent is lost ([ErrDisconnected]; not with Options.Retries, which
// repeat it) or the client ends ([ErrClosed]). While the socket is not
// connected, it waits for that, too. Handlers may call it.
//
// An answer of the form {"error": {"message": …}}, and nothing beside, is
// returned as an [*AckError]: so the server of package realtime answers when a
// handler fails.
func Ask[R any](ctx context.Context, e Emitter, event string, args ...any) (R, error) {
	var result R
	answer, err := e.asker().ask(ctx, event, args)
	if err != nil {
		return result, err
	}
	if all, ok := any(&result).(*Args); ok {
		*all = answer
		return result, nil
	}
	if refused := ackError(answer); refused != nil {
		return result, fmt.Errorf("asking %q: %w", event, refused)
	}
	if err := answer.Scan(&result); err != nil {
		return result, fmt.Errorf("answer to %q: %w", event, err)
	}
	return result, nil
}

// AckError is the answer of a server whose handler failed.
type AckError struct {
	Message string
	Data    json.RawMessage // the whole object beneath "error", Message included
}

// Error returns the message.
func (e *AckError) Error() string { return e.Message }

func ackError(answer Args) *AckError {
	if len(answer) != 1 || !bytes.HasPrefix(answer[0].JSON(), []byte("{")) || !bytes.Contains(answer[0].JSON(), []byte(`"error"`)) {
		return nil
	}
	var object map[string]json.RawMessage
	var said struct {
		Message *string `json:"message"`
	}
	if json.Unmarshal(answer[0].JSON(), &object) != nil || len(object) != 1 ||
		json.Unmarshal(object["error"], &said) != nil || said.Message == nil {
		return nil
	}
	return &AckError{Message: *said.Message, Data: object["error"]}
}

// defaultAckError is what the server is told by default, in the same form.
func defaultAckError(err error) any {
	return map[string]any{"error": map[string]string{"message": err.Error()}}
}
