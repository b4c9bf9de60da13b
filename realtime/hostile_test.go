package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/realtimetest/memnet"
	"server22.local/appliance/realtime/recovery"
)

// TestPanicAmidABroadcast: what one socket's observer does keeps nothing from
// other receivers, neither of this broadcast nor of later ones.
func TestPanicAmidABroadcast(t *testing.T) {
	io := realtime.New(realtime.Options{})
	sockets := make(chan *realtime.Socket, 1)
	io.OnConnect(func(s *realtime.Socket) { sockets <- s })
	url := serve(t, io)
	first := dialRaw(t, url)
	first.connect()
	<-sockets
	second := dialRaw(t, url)
	second.connect()
	io.Emit("zero")
	first.expect(`42["zero"]`)
	second.expect(`42["zero"]`)
	remove := (<-sockets).OnAnyOutgoing(func(*realtime.Socket, string, realtime.Args) { panic("an observer") })
	func() {
		defer func() { recover() }()
		io.Emit("one")
	}()
	remove()
	io.Emit("two")
	first.expect(`42["one"]`)
	first.expect(`42["two"]`)
	second.expect(`42["two"]`)
}

// comeAndGo connects a client that can recover, and has its connection break.
func comeAndGo(t *testing.T, io *realtime.Server, url string, sockets <-chan *realtime.Socket) (id, pid, offset string) {
	t.Helper()
	c := dialRaw(t, url)
	c.say("40")
	id, pid = c.greeting()
	s := <-sockets
	io.Emit("first")
	offset = c.offset(`42["first","`)
	c.ws.Close()
	untilGone(io, s)
	return id, pid, offset
}

// untilGone waits until nothing of a socket is left.
func untilGone(io *realtime.Server, s *realtime.Socket) {
	for s.Context().Err() == nil || io.Namespace.Socket(s.ID()) != nil {
		time.Sleep(time.Millisecond)
	}
}

// leaveAndReturn connects a client that can recover, and has it come back.
func leaveAndReturn(t *testing.T, io *realtime.Server, url string, sockets <-chan *realtime.Socket) (id, back string, missed []string) {
	t.Helper()
	id, pid, offset := comeAndGo(t, io, url, sockets)
	io.Emit("missed")
	c := dialRaw(t, url)
	c.say(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset))
	for {
		text := c.hear()
		if !strings.HasPrefix(text, "42") {
			back, _, _ = strings.Cut(strings.TrimPrefix(text, `40{"sid":"`), `"`)
			return id, back, missed
		}
		missed = append(missed, text)
	}
}

// TestHookOfARecoveringRoom: the hooks about rooms may use the namespace, as
// they do in others, and know the socket by no other id than its own.
func TestHookOfARecoveringRoom(t *testing.T) {
	var server *realtime.Server
	sockets := make(chan *realtime.Socket, 4)
	joined := make(chan string, 4)
	server = realtime.New(realtime.Options{Hooks: realtime.Hooks{
		Joined: func(s *realtime.Socket, room string, _ int) {
			if room == "room" {
				joined <- s.ID()
				server.To("others").Emit("somebody has joined")
			}
		},
	}})
	if err := server.Recover(realtime.Recovery{}); err != nil {
		t.Fatal(err)
	}
	server.OnConnect(func(s *realtime.Socket) {
		s.Join("room")
		sockets <- s
	})
	id, back, missed := leaveAndReturn(t, server, serve(t, server), sockets)
	if back != id || len(missed) != 1 {
		t.Errorf("%s comes back as %s, and has missed %q", id, back, missed)
	}
	for range 2 {
		if in := <-joined; in != id {
			t.Errorf("%s is in the room, want %s", in, id)
		}
	}
}

// TestMissedMoreThanTheQueueTakes: a client that has missed more than its queue
// may hold begins anew, or goes on, and is not cut off time and again.
func TestMissedMoreThanTheQueueTakes(t *testing.T) {
	server := realtime.New(realtime.Options{})
	if err := server.Recover(realtime.Recovery{Limits: recovery.Limits{Bytes: 8 << 20}}); err != nil {
		t.Fatal(err)
	}
	sockets := make(chan *realtime.Socket, 4)
	server.OnConnect(func(s *realtime.Socket) { sockets <- s })
	url := serve(t, server)
	_, pid, offset := comeAndGo(t, server, url, sockets)
	for range 40 {
		server.Emit("missed", strings.Repeat("x", 100_000))
	}
	c := dialRaw(t, url)
	c.say(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset))
	for n := 0; ; n++ {
		text := c.hear()
		if strings.HasPrefix(text, "40") {
			t.Logf("let in after %d events", n)
			return
		}
		if !strings.HasPrefix(text, "42") {
			t.Fatalf("after %d events: %.50q", n, text)
		}
	}
}

// TestAskAmidAFlood: a handler that asks its client gets the answer, or learns
// that it will not, whatever the client says before.
func TestAskAmidAFlood(t *testing.T) {
	server := realtime.New(realtime.Options{})
	asked := make(chan error, 1)
	realtime.On0(server, "ask me", func(ctx context.Context, s *realtime.Socket) error {
		_, err := realtime.Ask[int](ctx, s, "question")
		asked <- err
		return err
	})
	url := serve(t, server)
	flood := func(c *raw, events int) {
		for range events {
			c.say(`42["more"]`)
		}
	}
	for want, then := range map[string]func(c *raw, id string){
		"answered": func(c *raw, id string) {
			flood(c, 3*realtime.DefaultBacklog)
			c.say("43" + id + "[1]")
		},
		"gone": func(c *raw, _ string) {
			flood(c, 3*realtime.DefaultBacklog)
			c.ws.Close()
		},
		"too many": func(c *raw, _ string) { flood(c, 1<<20/200) },
	} {
		t.Run(want, func(t *testing.T) {
			c := dialRaw(t, url)
			c.connect()
			c.say(`42["ask me"]`)
			id := strings.TrimSuffix(strings.TrimPrefix(c.hear(), "42"), `["question"]`)
			then(c, id)
			select {
			case err := <-asked:
				got := "answered"
				switch {
				case errors.Is(err, realtime.ErrOverrun):
					got = "too many"
				case errors.Is(err, realtime.ErrDisconnected), errors.Is(err, context.Canceled):
					got = "gone"
				}
				if got != want {
					t.Errorf("%s (%v), want %s", got, err, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("who asks waits for ever")
			}
		})
	}
}

// TestPlainSlowReader: a plain client that takes its time with each of many
// messages does not hold up Shutdown.
func TestPlainSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := realtime.New(realtime.Options{})
		sockets := make(chan *realtime.Socket, 1)
		server.OnConnect(func(s *realtime.Socket) { sockets <- s })
		network := memnet.Listen()
		srv := &http.Server{Handler: server.Plain("/")}
		go srv.Serve(network)
		defer srv.Close()
		d := websocket.Dialer{NetDialContext: network.DialContext}
		ws, _, err := d.Dial("ws://server", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		s := <-sockets
		for range 90 {
			s.Emit("news", strings.Repeat("x", 10_000))
		}
		var reading sync.WaitGroup
		defer reading.Wait()
		reading.Go(func() {
			for err == nil {
				time.Sleep(800 * time.Millisecond)
				_, _, err = ws.ReadMessage()
			}
		})
		began := time.Now()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("shutting down took %v", d)
		}
	})
}

// TestBackOnTheSameConnection: a client that leaves a namespace and comes back
// at once, while its other namespaces go on, does not replace its own
// connection.
func TestBackOnTheSameConnection(t *testing.T) {
	server := realtime.New(realtime.Options{})
	if err := server.Recover(realtime.Recovery{}); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	realtime.On0(server, "slow", func(context.Context, *realtime.Socket) error {
		<-release
		return nil
	})
	c := dialRaw(t, serve(t, server))
	c.say("40")
	id, pid := c.greeting()
	c.say(`42["slow"]`)
	c.say("41")
	c.say(fmt.Sprintf(`40{"pid":%q}`, pid))
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	if again, _ := c.greeting(); again == id {
		t.Error("a session that the client has ended goes on")
	}
}

// TestNothingIsMissedWhileMiddlewaresDecide: a client that recovers gets all
// that is emitted meanwhile, however much, if need be at its next attempt.
func TestNothingIsMissedWhileMiddlewaresDecide(t *testing.T) {
	const events = 3000
	var coming atomic.Bool
	deciding, decide := make(chan struct{}), make(chan struct{})
	server := realtime.New(realtime.Options{})
	if err := server.Recover(realtime.Recovery{AskMiddlewares: true}); err != nil {
		t.Fatal(err)
	}
	sockets := make(chan *realtime.Socket, 4)
	server.OnConnect(func(s *realtime.Socket) { sockets <- s })
	server.Use(func(*realtime.Socket) error {
		if coming.CompareAndSwap(true, false) {
			close(deciding)
			<-decide
		}
		return nil
	})
	url := serve(t, server)
	id, pid, offset := comeAndGo(t, server, url, sockets)
	coming.Store(true)
	c := dialRaw(t, url)
	c.say(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset))
	<-deciding
	for n := range events {
		server.Emit("n", n)
	}
	close(decide)
	go func() {
		<-sockets
		server.Emit("n", events)
	}()
	next := 0
	for attempts := 0; next <= events && attempts < 3; {
		text := c.hear()
		if rest, ok := strings.CutPrefix(text, `42["n",`); ok {
			number, last, _ := strings.Cut(rest, ",")
			if number != fmt.Sprint(next) {
				t.Fatalf("got event %s, want %d", number, next)
			}
			next++
			offset = strings.Trim(last, `"]`)
		} else if !strings.HasPrefix(text, "40") {
			attempts++
			c = dialRaw(t, url)
			c.say(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset))
		} else if !strings.Contains(text, id) {
			t.Fatal("the session is lost")
		}
	}
	if next <= events {
		t.Errorf("got %d events, want %d", next, events+1)
	}
}

// TestLateJoin: what is done to a socket after its end is not taken for a sign
// of life.
func TestLateJoin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "recovery")
	log, err := recovery.OpenFile(file, recovery.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	server := realtime.New(realtime.Options{})
	if err := server.Recover(realtime.Recovery{Log: func(string) (recovery.Log, error) { return log, nil }}); err != nil {
		t.Fatal(err)
	}
	sockets := make(chan *realtime.Socket, 1)
	server.OnConnect(func(s *realtime.Socket) { sockets <- s })
	c := dialRaw(t, serve(t, server))
	c.say("40")
	_, pid := c.greeting()
	s := <-sockets
	c.say("41")
	untilGone(server, s)
	s.Join("late")
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	again, err := recovery.OpenFile(file, recovery.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if s, there := again.TakeSession(pid); there {
		t.Errorf("a session that its client has ended comes back: %+v", s)
	}
}

// TestAckErrorPanics: it ends its socket only, as other callbacks do.
func TestAckErrorPanics(t *testing.T) {
	server := realtime.New(realtime.Options{AckError: func(error) any { panic("no words for it") }})
	realtime.On0(server, "fail", func(context.Context, *realtime.Socket) error { return errors.New("fails") })
	realtime.On0(server, "do", func(context.Context, *realtime.Socket) error { return nil })
	url := serve(t, server)
	other := dialRaw(t, url)
	other.connect()
	c := dialRaw(t, url)
	c.connect()
	c.say(`421["fail"]`)
	c.expect("41")
	other.say(`421["do"]`)
	other.expect("431[]")
}

// TestConnectHookPanics: a hook that panics while a socket connects ends that
// socket only.
func TestConnectHookPanics(t *testing.T) {
	for name, hooks := range map[string]func(panics func()) realtime.Hooks{
		"Connected": func(panics func()) realtime.Hooks {
			return realtime.Hooks{Connected: func(*realtime.Socket) { panics() }}
		},
		"Joined": func(panics func()) realtime.Hooks {
			return realtime.Hooks{Joined: func(*realtime.Socket, string, int) { panics() }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var armed atomic.Bool
			server := realtime.New(realtime.Options{Hooks: hooks(func() {
				if armed.Load() {
					panic("in a hook")
				}
			})})
			realtime.On0(server, "do", func(context.Context, *realtime.Socket) error { return nil })
			url := serve(t, server)
			other := dialRaw(t, url)
			other.connect()
			armed.Store(true)
			c := dialRaw(t, url)
			c.say("40")
			for frame := ""; frame != "41"; frame = c.hear() {
				if frame != "" && frame[0] != '4' {
					t.Fatalf("the socket is not told: %s", frame)
				}
			}
			other.say(`421["do"]`)
			other.expect("431[]")
		})
	}
}
