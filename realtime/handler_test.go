package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/packet"
)

// ruleHandlersAreTakenOut: each on its own, wherever it was put.
func ruleHandlersAreTakenOut(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	var seen []string // of one socket: one at a time
	note := func(what string) func(context.Context, *realtime.Event) error {
		return func(context.Context, *realtime.Event) error {
			seen = append(seen, what)
			return nil
		}
	}
	realtime.OnArgs(io, "x", note("first"))
	removes := []func(){
		realtime.OnArgs(io, "x", note("second")),
		io.OnAny(note("any")),
		io.UseEvent(note("use")),
		io.OnAnyOutgoing(func(o *realtime.Outgoing) { seen = append(seen, "out "+o.Event()) }),
	}
	io.OnConnect(func(s *realtime.Socket) {
		removes = append(removes, realtime.OnArgs(s, "x", note("own")), s.OnAny(note("own any")), s.UseEvent(note("own use")))
	})
	realtime.Handle0(io, "remove", func(_ context.Context, s *realtime.Socket) (string, error) {
		for _, remove := range removes {
			remove()
			remove() // again: nothing
		}
		return "", nil
	})
	realtime.On0(io, "off", func(_ context.Context, s *realtime.Socket) error { io.Off("x"); return nil })
	realtime.Handle0(io, "seen", func(_ context.Context, s *realtime.Socket) (string, error) {
		err := s.Emit("out")
		defer func() { seen = nil }()
		return strings.Join(seen, ", "), err
	})
	c := w.dial(t, serve(t, io)).connect()
	ask := func(event, want string) {
		t.Helper()
		c.say(`421["` + event + `"]`)
		got := c.hear()
		for strings.HasPrefix(got, "42") {
			got = c.hear()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", event, got, want)
		}
	}
	c.say(`42["x"]`)
	ask("seen", `431["use, own use, any, own any, first, second, own, use, own use, any, own any, out out"]`)
	ask("remove", `431[""]`)
	c.say(`42["x"]`)
	ask("seen", `431["use, own use, any, own any, first"]`)
	ask("off", `431[]`)
	c.say(`42["x"]`)
	ask("seen", `431[""]`)
}

// ruleCallbacksAreTakenOut: whatever puts a function somewhere returns what
// takes it out.
func ruleCallbacksAreTakenOut(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	gone := make(chan bool)
	calls := 0
	removes := []func(){
		io.Use(func(*realtime.Socket) error { calls++; return nil }),
		io.OnConnect(func(*realtime.Socket) { calls++ }),
		io.OnDisconnect(func(*realtime.Socket, realtime.Reason) { calls++ }),
		io.OnServerSide("x", func(realtime.Args) (any, error) { calls++; return nil, nil }),
		io.OnNamespace(func(*realtime.Namespace) { calls++ }),
	}
	io.OnDisconnect(func(*realtime.Socket, realtime.Reason) { gone <- true })
	url := serve(t, io)
	for _, want := range []int{4, 4} {
		w.dial(t, url).connect().say("41")
		<-gone
		io.Of(fmt.Sprint("/", len(io.Namespaces())))
		if calls != want {
			t.Errorf("%d calls, want %d", calls, want)
		}
		for _, remove := range removes {
			remove()
		}
	}
}

// ruleOutgoingOfOneSocket sees what goes to it, whoever has emitted it.
func ruleOutgoingOfOneSocket(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	sockets := make(chan *realtime.Socket, 2)
	io.OnConnect(func(s *realtime.Socket) { sockets <- s })
	url := serve(t, io)
	c := w.dial(t, url).connect()
	s := <-sockets
	w.dial(t, url).connect()
	other := <-sockets
	var seen []string
	remove := s.OnAnyOutgoing(func(s *realtime.Socket, event string, args realtime.Args) {
		seen = append(seen, fmt.Sprint(event, len(args)))
	})
	s.OnAnyOutgoing(nil)
	s.Emit("own", 1, 2)
	io.Emit("all", []byte("bytes"))
	other.Emit("not mine")
	other.Broadcast().Emit("others")
	io.To("nobody").Emit("nobody")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	realtime.Ask[int](ctx, s, "question", 3)
	c.say(`421["unknown"]`)
	remove()
	io.Emit("late")
	if got := strings.Join(seen, " "); got != "own2 all1 others0 question1" {
		t.Errorf("seen: %s", got)
	}
}

// TestZeroOperators reach nobody, and say so.
func TestZeroOperators(t *testing.T) {
	var all realtime.BroadcastOperator
	var one realtime.SocketOperator
	if err := all.To("room").Emit("x"); !errors.Is(err, realtime.ErrNoNamespace) {
		t.Error(err)
	}
	if _, err := all.FetchSockets(t.Context()); !errors.Is(err, realtime.ErrNoNamespace) {
		t.Error(err)
	}
	for _, a := range realtime.AskAll[int](t.Context(), all.Timeout(time.Second), "x") {
		if !errors.Is(a.Err, realtime.ErrNoNamespace) {
			t.Error(a.Err)
		}
	}
	for s := range all.Sockets() {
		t.Error(s)
	}
	all.Join("room")
	all.Leave("room")
	all.Disconnect()
	all.DisconnectAll()
	if err := one.Volatile().Emit("x"); !errors.Is(err, realtime.ErrDisconnected) {
		t.Error(err)
	}
}

// rulePanicsAreLoggedOnce, with the stack.
func rulePanicsAreLoggedOnce(t *testing.T, w world) {
	log := new(logbook)
	io := realtime.New(realtime.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	realtime.On0(io, "x", func(context.Context, *realtime.Socket) error { panic("in a handler") })
	io.Of("/use").Use(func(*realtime.Socket) error { panic("in a middleware") })
	io.Of("/connect").OnConnect(func(*realtime.Socket) { panic("in OnConnect") })
	io.Of("/disconnect").OnDisconnect(func(*realtime.Socket, realtime.Reason) { panic("in OnDisconnect") })
	c := w.dial(t, serve(t, io)).connect()
	for _, step := range [][]string{{"40/use", "44/use,"}, {"40/connect", "40/connect,", "41/connect,"}, {"40/disconnect", "40/disconnect,"}} {
		c.say(step[0])
		for _, want := range step[1:] {
			if got := c.hear(); !strings.HasPrefix(got, want) {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
	}
	c.say("41/disconnect")
	c.say(`421["x"]`)
	c.expect("41")
	if err := io.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, where := range []string{"a handler", "a middleware", "OnConnect", "OnDisconnect"} {
		if n := strings.Count(log.String(), "panic: in "+where+`"`); n != 1 {
			t.Errorf("the panic in %s is logged %d times", where, n)
		}
	}
	if n := strings.Count(log.String(), "handler_test.go"); n < 4 {
		t.Errorf("%d stacks:\n%s", n, log.String())
	}
}

// ruleGoneIsNoFault: that a client has left is no error of a handler.
func ruleGoneIsNoFault(t *testing.T, w world) {
	log := new(logbook)
	io := realtime.New(realtime.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	started := make(chan bool)
	realtime.On0(io, "emit", func(ctx context.Context, s *realtime.Socket) error {
		started <- true
		<-ctx.Done()
		return s.Emit("late")
	})
	realtime.On0(io, "wait", func(ctx context.Context, s *realtime.Socket) error {
		started <- true
		<-ctx.Done()
		return fmt.Errorf("waiting: %w", ctx.Err())
	})
	realtime.On0(io, "fail", func(ctx context.Context, s *realtime.Socket) error {
		started <- true
		<-ctx.Done()
		return errors.New("a fault")
	})
	url := serve(t, io)
	for _, event := range []string{"emit", "wait", "fail"} {
		c := w.dial(t, url).connect()
		c.say(`42["` + event + `"]`)
		<-started
		c.end()
	}
	if err := io.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Count(text, "event failed") != 1 || !strings.Contains(text, "a fault") {
		t.Errorf("logged: %s", text)
	}
}

// logbook keeps what is logged.
type logbook struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// ruleEndOnTheWayIn: who has not seen a socket come does not see it go.
func ruleEndOnTheWayIn(t *testing.T, w world) {
	var log []string
	note := func(what string) { log = append(log, what) }
	io := realtime.New(realtime.Options{Hooks: realtime.Hooks{
		Connected:    func(*realtime.Socket) { note("Connected") },
		Disconnected: func(*realtime.Socket, realtime.Reason) { note("Disconnected") },
		Joined:       func(s *realtime.Socket, _ string, _ int) { s.Disconnect() },
	}})
	io.OnConnect(func(*realtime.Socket) { note("OnConnect") })
	io.OnDisconnect(func(*realtime.Socket, realtime.Reason) { note("OnDisconnect") })
	c := w.dial(t, serve(t, io))
	c.say("40")
	c.expect("41")
	if err := io.Shutdown(t.Context()); err != nil || len(log) > 0 {
		t.Errorf("%q, %v", log, err)
	}
}

// slow encodes what ends a socket when it is let.
type slow struct {
	packet.Parser
	begun, release chan bool
}

func (p slow) Encode(dst []packet.Frame, of *packet.Packet) ([]packet.Frame, error) {
	if of.Type == packet.Disconnect || of.Type == packet.ConnectError {
		p.begun <- true
		<-p.release
	}
	return p.Parser.Encode(dst, of)
}

// TestPlaceIsFree when the client is told that its socket has ended: it may ask
// again at once.
func TestPlaceIsFree(t *testing.T) {
	parser := slow{packet.JSON, make(chan bool), make(chan bool)}
	io := realtime.New(realtime.Options{Parsers: []packet.Parser{parser}})
	calls := 0
	io.Of("/guarded").Use(func(*realtime.Socket) error {
		if calls++; calls == 1 {
			return realtime.Refuse("no", nil)
		}
		return nil
	})
	c := dialRaw(t, serve(t, io)).connect()
	for namespace, end := range map[string]func(){
		"/":        func() { go io.Disconnect() },
		"/guarded": func() { c.say("40/guarded") },
	} {
		end()
		<-parser.begun
		c.say("40" + namespace)
		if got := c.hear(); !strings.HasPrefix(got, "40") {
			t.Errorf("%s: %s", namespace, got)
		}
		parser.release <- true
		c.hear()
	}
}

// TestCause tells more than the reason.
func TestCause(t *testing.T) {
	io := realtime.New(realtime.Options{})
	ended := make(chan string, 1)
	io.OnDisconnect(func(s *realtime.Socket, why realtime.Reason) { ended <- fmt.Sprint(why, ": ", s.Cause()) })
	url := serve(t, io)
	for _, tt := range []struct{ say, want string }{
		{"41", "client namespace disconnect: <nil>"},
		{"4x", "parse error: "},
		{"2", "transport error: invalid heartbeat direction"},
		{`42/other,["x"]`, "parse error: a packet for a namespace that was not joined"},
	} {
		c := dialRaw(t, url).connect()
		c.say(tt.say)
		if got := <-ended; !strings.HasPrefix(got, tt.want) || strings.HasSuffix(got, ": ") {
			t.Errorf("after %q: %q, want %q", tt.say, got, tt.want)
		}
	}
}

// ruleDisconnectAll tells the client in each of its namespaces, and then closes
// the connection.
func ruleDisconnectAll(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	reasons := make(chan realtime.Reason, 3)
	for _, n := range []*realtime.Namespace{io.Of("/"), io.Of("/a"), io.Of("/b")} {
		n.OnDisconnect(func(_ *realtime.Socket, why realtime.Reason) { reasons <- why })
	}
	c := w.dial(t, serve(t, io)).connect()
	for _, name := range []string{"/a", "/b"} {
		c.say("40" + name)
		c.hear()
	}
	io.Of("/a").DisconnectAll()
	got := map[string]bool{c.hear(): true, c.hear(): true, c.hear(): true}
	if !got["41"] || !got["41/a,"] || !got["41/b,"] {
		t.Errorf("the client hears %v", got)
	}
	if text := c.hear(); !strings.Contains(text, "close") {
		t.Errorf("and then %s", text)
	}
	for range 3 {
		select {
		case why := <-reasons:
			if why != realtime.ReasonServerDisconnect {
				t.Errorf("ended by %q", why)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a socket goes on")
		}
	}
}
