package realtimetest

import (
	"context"
	"testing"
	"time"

	"server22.local/appliance/realtime/client"
)

// backlog is how many events may wait for a test that does not look.
const backlog = 4096

// Events collects the events of a name from now on. The function that it
// returns gives the first argument of the next one, decoded as A, waiting for
// it if need be; with A = [client.Args] it gives all arguments. It fails the
// test if there is none for half a minute.
func Events[A any](t testing.TB, s *client.Socket, event string) (next func() A) {
	t.Helper()
	came := make(chan A, backlog)
	client.OnArgs(s, event, func(_ context.Context, e *client.Event) error {
		var a A
		if all, ok := any(&a).(*client.Args); ok {
			*all = e.Args()
		} else if err := e.Scan(&a); err != nil {
			t.Errorf("event %q: %v", event, err)
			return err
		}
		came <- a
		return nil
	})
	return func() A {
		t.Helper()
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case a := <-came:
			return a
		case <-late.C:
			t.Fatalf("no event %q came", event)
			panic("unreachable")
		}
	}
}

// Ask is [client.Ask] that fails the test if it is not answered.
func Ask[R any](t testing.TB, s client.Emitter, event string, args ...any) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := client.Ask[R](ctx, s, event, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
