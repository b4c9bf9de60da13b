package realtime_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"server22.local/appliance/realtime"
)

func TestStartsAndStops(t *testing.T) {
	io := realtime.New(realtime.Options{})
	realtime.On(io, "x", func(ctx context.Context, s *realtime.Socket, v string) error { return s.Emit("y", v) })
	srv := httptest.NewServer(io)
	defer srv.Close()
	if err := io.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}
