package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/test/node"
)

// serve starts a server for the length of a test.
func serve(t testing.TB, io *realtime.Server) (url string) {
	t.Helper()
	srv := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		srv.Close()
	})
	return srv.URL
}

// behaving is a server with all that the scripts in testdata talk about.
func behaving(t testing.TB) *realtime.Server {
	io := realtime.New(realtime.Options{Engine: engineio.Options{AllowEIO3: true}})
	recovering := io.Of("/recovering")
	if err := recovering.Recover(realtime.Recovery{}); err != nil {
		t.Fatal(err)
	}
	dynamic := io.OfPattern(regexp.MustCompile(`^/room-\d+$`))
	for _, on := range []realtime.Events{io, io.Of("/other"), recovering, dynamic} {
		values(on)
		rooms(on)
	}
	endings(io)
	asking(io)
	guarded(io.Of("/guarded"))
	observed(io.Of("/observed"))
	remembering(recovering)
	return io
}

func values(on realtime.Events) {
	realtime.Handle(on, "echo", func(_ context.Context, _ *realtime.Socket, v realtime.Value) (realtime.Value, error) { return v, nil })
	realtime.Handle2(on, "swap", func(_ context.Context, _ *realtime.Socket, a string, b map[string]int) (realtime.Values, error) {
		return realtime.Values{b, a}, nil
	})
	realtime.Handle0(on, "id", func(_ context.Context, s *realtime.Socket) (string, error) { return s.ID(), nil })
	realtime.Handle0(on, "where", func(_ context.Context, s *realtime.Socket) (string, error) { return s.Namespace().Name(), nil })
	realtime.Handle0(on, "handshake", func(_ context.Context, s *realtime.Socket) (*realtime.Handshake, error) { return s.Handshake(), nil })
	realtime.On0(on, "refuse", func(context.Context, *realtime.Socket) error {
		return realtime.Refuse("not you", map[string]int{"code": 7})
	})
	realtime.On0(on, "fail", func(context.Context, *realtime.Socket) error { return errors.New("a secret") })
	realtime.Handle(on, "slow", func(_ context.Context, s *realtime.Socket, n int) (int, error) {
		if busy, _ := realtime.Get[bool](s, "busy"); busy {
			return -1, errors.New("two handlers at once")
		}
		s.Set("busy", true)
		defer s.Set("busy", false)
		if n%50 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
		return n, nil
	})
	realtime.On0(on, "volatile", func(_ context.Context, s *realtime.Socket) error {
		if err := s.Volatile().Emit("maybe"); !errors.Is(err, realtime.ErrDropped) {
			return err
		}
		return nil
	})
}

func rooms(on realtime.Events) {
	realtime.On(on, "join", func(_ context.Context, s *realtime.Socket, room string) error { s.Join(room); return nil })
	realtime.On(on, "leave", func(_ context.Context, s *realtime.Socket, room string) error { s.Leave(room); return nil })
	realtime.On2(on, "say", func(_ context.Context, s *realtime.Socket, room string, v realtime.Value) error {
		return s.To(room).Emit("said", v)
	})
	realtime.On2(on, "say all", func(_ context.Context, s *realtime.Socket, rooms []string, v realtime.Value) error {
		return s.Namespace().To(rooms...).Emit("said", v)
	})
	realtime.On3(on, "say except", func(_ context.Context, s *realtime.Socket, room, except string, v realtime.Value) error {
		return s.Namespace().To(room).Except(except).Emit("said", v)
	})
}

func endings(io *realtime.Server) {
	realtime.On0(io, "kick me", func(_ context.Context, s *realtime.Socket) error { s.Disconnect(); return nil })
	realtime.On0(io, "kick all", func(_ context.Context, s *realtime.Socket) error { s.DisconnectAll(); return nil })
	realtime.On0(io, "panic", func(context.Context, *realtime.Socket) error { panic("at the disco") })
	io.OnDisconnect(func(s *realtime.Socket, why realtime.Reason) {
		io.To("watchers").Emit("gone", s.ID(), why, s.Rooms())
	})
}

func asking(io *realtime.Server) {
	realtime.Handle(io, "ask me", func(ctx context.Context, s *realtime.Socket, n int) (int, error) {
		return realtime.Ask[int](ctx, s, "question", n)
	})
	type result struct {
		Answers []int `json:"answers"`
		Missing int   `json:"missing"`
	}
	realtime.Handle2(io, "poll all", func(ctx context.Context, _ *realtime.Socket, room string, ms int) (result, error) {
		var r result
		for _, a := range realtime.AskAll[int](ctx, io.To(room).Timeout(time.Duration(ms)*time.Millisecond), "poll") {
			if a.Err != nil {
				r.Missing++
			} else {
				r.Answers = append(r.Answers, a.Value)
			}
		}
		return r, nil
	})
}

func guarded(ns *realtime.Namespace) {
	type auth struct{ Token string }
	ns.Use(func(s *realtime.Socket) error {
		var a auth
		if err := s.Auth(&a); err != nil || a.Token != "secret" {
			return realtime.Refuse("unauthorized", map[string]string{"hint": "token"})
		}
		s.Set("token", a.Token)
		return nil
	})
	realtime.Handle0(ns, "who", func(_ context.Context, s *realtime.Socket) (string, error) {
		token, _ := realtime.Get[string](s, "token")
		return token, nil
	})
}

func observed(ns *realtime.Namespace) {
	ns.UseEvent(func(_ context.Context, e *realtime.Event) error {
		if e.Name() == "forbidden" {
			return realtime.Refuse("forbidden", nil)
		}
		return nil
	})
	ns.OnAny(func(_ context.Context, e *realtime.Event) error {
		return e.Ack.Send(fmt.Sprintf("seen %s %d", e.Name(), e.Len()))
	})
	ns.UseOutgoing(func(o *realtime.Outgoing) error { return o.Append("stamp") })
	realtime.On0(ns, "send", func(_ context.Context, s *realtime.Socket) error { return s.Emit("stamped", "x") })
}

func remembering(ns *realtime.Namespace) {
	realtime.On(ns, "remember", func(_ context.Context, s *realtime.Socket, v string) error { s.Set("v", v); return nil })
	realtime.Handle0(ns, "recall", func(_ context.Context, s *realtime.Socket) (string, error) {
		v, _ := realtime.Get[string](s, "v")
		return v, nil
	})
}

// results reads what a script in testdata says about its checks.
func results(t *testing.T, script *node.Script, want int) {
	t.Helper()
	n := 0
	for line := range script.Lines {
		if !strings.HasPrefix(line, "ok ") {
			t.Error(line)
		}
		n++
	}
	if n < want {
		t.Errorf("%d checks ran, expected at least %d", n, want)
	}
}

func TestBehaviour(t *testing.T) {
	url := serve(t, behaving(t))
	for _, transports := range transports {
		for _, parser := range []string{"json", "msgpack"} {
			t.Run(transports+"/"+parser, func(t *testing.T) {
				t.Parallel()
				results(t, node.Run(t, "testdata/behaviour.js", url, transports, parser), 25)
			})
		}
	}
}

// TestMixedClients has clients of all transports and parsers in one room.
func TestMixedClients(t *testing.T) {
	results(t, node.Run(t, "testdata/mixed.js", serve(t, behaving(t))), 6)
}
