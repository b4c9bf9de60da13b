package realtime_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest"
)

// TestWhoAsksWaitsForNothingElse: a question from within a handler leaves at
// once, and its answer is read though the handler has not returned.
func TestWhoAsksWaitsForNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := realtime.New(realtime.Options{})
		realtime.Handle(io, "twice", func(ctx context.Context, s *realtime.Socket, n int) (int, error) {
			return realtime.Ask[int](ctx, s, "double", n)
		})
		server := realtimetest.NewServer(t, io)
		s := server.Client("/")
		client.Handle(s, "double", func(_ context.Context, _ *client.Socket, n int) (int, error) { return 2 * n, nil })
		time.Sleep(time.Second)
		asked := time.Now()
		if n := realtimetest.Ask[int](t, s, "twice", 4); n != 8 {
			t.Errorf("twice 4 is %d", n)
		}
		if d := time.Since(asked); d != 0 {
			t.Errorf("the answer took %v", d)
		}
	})
}
