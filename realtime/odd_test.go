package realtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
)

type link struct{ Next *link }

type shouter struct{}

func (*shouter) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

type liar struct{}

func (liar) MarshalJSON() ([]byte, error) { return []byte(`{"a":`), nil }

// oddValues are what a program may emit by mistake.
func oddValues() []any {
	ring := new(link)
	ring.Next = ring
	self := map[string]any{}
	self["self"] = self
	loop := make([]any, 1)
	loop[0] = loop
	deep := any("bottom")
	for range 20_000 {
		deep = []any{deep}
	}
	return []any{
		make(chan int), func() {}, complex(1, 2), math.NaN(), math.Inf(-1), ring, self, loop, deep,
		&shouter{}, liar{}, json.RawMessage(`{"a":`), json.RawMessage(nil), json.RawMessage("\xff"),
		map[[2]int]int{{1, 2}: 3}, map[float64]int{math.NaN(): 1}, realtime.Value{}, (*link)(nil), []byte(nil),
		"\xff\xfe", strings.Repeat("x", 1<<18), time.Time{}.AddDate(20000, 0, 0), struct{ F func() }{}, [0]chan int{},
		map[string]any{"_placeholder": true, "num": 7}, map[string]any{"": map[string][]byte{"\xff": {1}}},
	}
}

// TestOddValues: what cannot be sent is an error of Emit, and the client goes
// on.
func TestOddValues(t *testing.T) {
	io := realtime.New(realtime.Options{Engine: engineio.Options{Queue: engineio.Queue{Bytes: 1 << 30}}})
	sockets := make(chan *realtime.Socket, 1)
	io.OnConnect(func(s *realtime.Socket) { sockets <- s })
	url := serve(t, io)
	c := dialRaw(t, url)
	c.ws.SetReadLimit(-1)
	c.say("40")
	c.greeting()
	s := <-sockets
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for _, v := range oddValues() {
			for _, emit := range []func(string, ...any) error{s.Emit, io.Emit, io.To("nobody").Emit, s.Volatile().Emit} {
				emit("odd", v)
				emit("odd", 1, map[string]any{"in": []any{v}})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			realtime.Ask[int](ctx, s, "odd", v)
			for range realtime.AskAll[int](ctx, io.BroadcastOperator, "odd", v) {
			}
			io.ServerSideEmit(ctx, "odd", v)
			cancel()
			s.Set("odd", v)
			io.FetchSockets(t.Context())
		}
		s.Set("odd", nil)
		for _, name := range []string{"", "\xff", strings.Repeat("n", 1<<16), "\"", "\x00", "connect"} {
			s.Emit(name)
			s.Join(name)
			io.To(name).Except(name).Emit(name)
			s.Leave(name)
			s.Off(name)
			io.Socket(name)
		}
		s.Emit("end")
	}()
	for {
		text := c.hear()
		if text == `42["end"]` {
			break
		}
		if strings.Contains(text, "close") {
			t.Fatalf("ended: %.200s", text)
		}
	}
	<-sent
}

// TestOddHandlers: what is missing or panics ends a socket, never the server.
func TestOddHandlers(t *testing.T) {
	io := realtime.New(realtime.Options{})
	realtime.On0(io, "nil", nil)
	realtime.On[int](io, "nil1", nil)
	realtime.Handle0[int](io, "nil2", nil)
	realtime.OnArgs(io, "nil3", nil)
	io.Of("/use").Use(nil)
	io.Of("/any").OnAny(nil)
	io.Of("/event").UseEvent(nil)
	io.Of("/connect").OnConnect(nil)
	io.Of("/disconnect").OnDisconnect(nil)
	io.Of("/outgoing").UseOutgoing(nil)
	io.Of("/anyoutgoing").OnAnyOutgoing(nil)
	io.Of("/outgoing").OnConnect(func(s *realtime.Socket) { s.Emit("x") })
	io.Of("/anyoutgoing").OnConnect(func(s *realtime.Socket) { s.Emit("x") })
	io.OnServerSide("x", nil)
	io.OnNamespace(nil)
	io.OfPattern(nil)
	io.OfFunc(nil)
	io.Of("")
	io.Of(strings.Repeat("/", 1<<16))
	realtime.Handle0(io, "here", func(context.Context, *realtime.Socket) (string, error) { return "yes", nil })
	realtime.Handle0(io, "unsayable", func(context.Context, *realtime.Socket) (chan int, error) { return nil, nil })
	url := serve(t, io)
	for _, frames := range [][]string{
		{"40", `421["nil"]`}, {"40", `421["nil1",1]`}, {"40", `421["nil2"]`}, {"40", `421["nil3"]`}, {"40", `421["unsayable"]`},
		{"40/use"}, {"40/any", `42/any,1["x"]`}, {"40/event", `42/event,1["x"]`}, {"40/connect"}, {"40/outgoing"}, {"40/anyoutgoing"},
		{"40/nowhere"}, {"40/disconnect"},
	} {
		c := dialRaw(t, url)
		for _, f := range frames {
			c.say(f)
			c.hear()
		}
	}
	c := dialRaw(t, url).connect()
	c.say("40/disconnect")
	c.hear()
	c.say("41/disconnect")
	c.say(`421["here"]`)
	c.expect(`431["yes"]`)
}

// TestOddOptions: a server of odd options still works, or refuses.
func TestOddOptions(t *testing.T) {
	for name, o := range map[string]realtime.Options{
		"negative":   {ConnectTimeout: -1, MaxNamespaces: -1, Backlog: -1, Engine: engineio.Options{PingInterval: -1, PingTimeout: -1, MaxPayload: -1, Queue: engineio.Queue{Bytes: -1}}},
		"no adapter": {Adapter: func(n string, l adapter.Local) adapter.Adapter { return adapter.NewMemory(l) }},
	} {
		t.Run(name, func(t *testing.T) {
			io := realtime.New(o)
			realtime.Handle0(io, "here", func(context.Context, *realtime.Socket) (string, error) { return "yes", nil })
			c := dialRaw(t, serve(t, io)).connect()
			c.say(`421["here"]`)
			c.expect(`431["yes"]`)
		})
	}
}
