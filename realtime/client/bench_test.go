package client_test

import (
	"context"
	"strings"
	"testing"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest"
)

func benchServer(b *testing.B) *realtimetest.Server {
	io := realtime.New(realtime.Options{})
	realtime.OnArgs(io, "ask", func(_ context.Context, e *realtime.Event) error { return e.Ack.Send(e.Args().Any()...) })
	realtime.On(io, "count", func(_ context.Context, s *realtime.Socket, n int) error {
		for i := range n {
			s.Emit("tick", i)
		}
		return nil
	})
	return realtimetest.NewServer(b, io)
}

// A question and its answer, over memory: both ends are in the figures.
func BenchmarkAsk(b *testing.B) {
	for _, transport := range transports[:2] {
		b.Run(transport.name, func(b *testing.B) {
			server := benchServer(b)
			o := server.Options()
			o.Transports = transport.list
			c := server.New(o)
			s := c.Of("/")
			server.Connect(c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Ask[int](b.Context(), s, "ask", 42); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Emitting without a connection: encoding and keeping.
func BenchmarkEmit(b *testing.B) {
	type message struct {
		Topic string  `json:"topic"`
		Data  float64 `json:"data"`
	}
	for _, value := range []struct {
		name string
		arg  any
	}{{"string", strings.Repeat("x", 100)}, {"struct", message{"sensors/kitchen", 21.5}}, {"bytes", make([]byte, 100)}} {
		b.Run(value.name, func(b *testing.B) {
			c, err := client.New("http://nowhere.test", client.Options{Buffer: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			s := c.Of("/")
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Emit("message", value.arg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A stream of events from the server to a typed handler, per event.
func BenchmarkReceive(b *testing.B) {
	server := benchServer(b)
	c := server.New(server.Options())
	s := c.Of("/")
	const burst = 1000
	came := make(chan bool)
	client.On(s, "tick", func(_ context.Context, _ *client.Socket, n int) error {
		if n == burst-1 {
			came <- true
		}
		return nil
	})
	server.Connect(c)
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		if events%burst == 0 {
			s.Emit("count", burst)
			<-came
		}
		events++
	}
}
