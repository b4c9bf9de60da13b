package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// TestRules keeps the rules that the package documentation states, in all
// worlds.
func TestRules(t *testing.T) {
	everywhere(t, map[string]func(*testing.T, world){
		"events in order one at a time":           ruleEventsInOrderOneAtATime,
		"handler blocks its own socket only":      ruleHandlerBlocksItsOwnSocketOnly,
		"context ends with the socket":            ruleContextEndsWithTheSocket,
		"OnConnect comes before the first event":  ruleOnConnectComesBeforeTheFirstEvent,
		"nothing arrives before connect":          ruleNothingArrivesBeforeConnect,
		"ask ends":                                ruleAskEnds,
		"ask all ends":                            ruleAskAllEnds,
		"operators do not change":                 ruleOperatorsDoNotChange,
		"join after disconnect leaves nothing":    ruleJoinAfterDisconnectLeavesNothing,
		"leave takes back a join of a middleware": ruleLeaveTakesBackAJoinOfAMiddleware,
		"dynamic namespaces come and go":          ruleDynamicNamespacesComeAndGo,
		"panics of callbacks":                     rulePanicsOfCallbacks,
		"burst after disconnect by server":        ruleBurstAfterDisconnectByServer,
		"hooks":                                   ruleHooks,
		"shutdown tells everybody":                ruleShutdownTellsEverybody,
		"handlers are taken out":                  ruleHandlersAreTakenOut,
		"callbacks are taken out":                 ruleCallbacksAreTakenOut,
		"outgoing of one socket":                  ruleOutgoingOfOneSocket,
		"disconnect all":                          ruleDisconnectAll,
		"end on the way in":                       ruleEndOnTheWayIn,
		"gone is no fault":                        ruleGoneIsNoFault,
		"panics are logged once":                  rulePanicsAreLoggedOnce,
		"takeover":                                ruleTakeover,
		"session outlives a failed return":        ruleSessionOutlivesAFailedReturn,
		"panicking maker":                         rulePanickingMaker,
		"cluster through the adapter":             ruleClusterThroughTheAdapter,
		"cluster i ds":                            ruleClusterIDs,
		"cluster losses":                          ruleClusterLosses,
	})
}

func ruleEventsInOrderOneAtATime(t *testing.T, w world) {
	io := realtime.New(realtime.Options{Backlog: 8})
	var running atomic.Int32
	next := 0
	realtime.Handle(io, "n", func(_ context.Context, _ *realtime.Socket, n int) (int, error) {
		if running.Add(1) != 1 {
			t.Error("two handlers of a socket at once")
		}
		defer running.Add(-1)
		if n != next {
			t.Errorf("got %d, expected %d", n, next)
		}
		next++
		return n, nil
	})
	c := w.dial(t, serve(t, io)).connect()
	const events = 2000 // many more than fit the backlog
	go func() {
		for n := range events {
			c.say(fmt.Sprintf(`42%d["n",%d]`, n, n))
		}
	}()
	for n := range events {
		c.expect(fmt.Sprintf(`43%d[%d]`, n, n))
	}
}

func ruleHandlerBlocksItsOwnSocketOnly(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	release := make(chan struct{})
	realtime.On0(io, "block", func(ctx context.Context, s *realtime.Socket) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	})
	for _, ns := range []*realtime.Namespace{io.Of("/"), io.Of("/other")} {
		realtime.Handle(ns, "echo", func(_ context.Context, _ *realtime.Socket, v string) (string, error) { return v, nil })
	}
	url := serve(t, io)
	c := w.dial(t, url).connect()
	c.say("40/other")
	c.hear()
	c.say(`421["block"]`)
	c.say(`422["echo","behind"]`)
	c.say(`42/other,3["echo","beside"]`)
	c.expect(`43/other,3["beside"]`)
	d := w.dial(t, url).connect()
	d.say(`421["echo","another"]`)
	d.expect(`431["another"]`)
	close(release)
	c.expect(`431[]`)
	c.expect(`432["behind"]`)
}

func ruleContextEndsWithTheSocket(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	ended := make(chan error, 1)
	order := make(chan string, 2)
	realtime.On0(io, "wait", func(ctx context.Context, s *realtime.Socket) error {
		derived, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		<-derived.Done()
		ended <- derived.Err()
		order <- "handler"
		return nil
	})
	io.OnDisconnect(func(*realtime.Socket, realtime.Reason) { order <- "OnDisconnect" })
	c := w.dial(t, serve(t, io)).connect()
	c.say(`42["wait"]`)
	time.Sleep(10 * time.Millisecond)
	c.end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if first := <-order; first != "handler" {
		t.Errorf("%s came first", first)
	}
	<-order
}

func ruleOnConnectComesBeforeTheFirstEvent(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	io.Use(func(*realtime.Socket) error { time.Sleep(20 * time.Millisecond); return nil })
	io.OnConnect(func(s *realtime.Socket) {
		time.Sleep(20 * time.Millisecond)
		realtime.Handle0(s, "early", func(context.Context, *realtime.Socket) (string, error) { return "seen", nil })
	})
	c := w.dial(t, serve(t, io))
	c.say("40")
	c.say(`421["early"]`)
	c.greeting()
	c.expect(`431["seen"]`)
}

func ruleNothingArrivesBeforeConnect(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	io.Use(func(s *realtime.Socket) error {
		s.Join("room")
		return s.Emit("from the middleware")
	})
	url := serve(t, io)
	stop := make(chan struct{})
	var emitting sync.WaitGroup
	emitting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				io.To("room").Emit("noise")
				time.Sleep(100 * time.Microsecond)
			}
		}
	})
	for range 10 {
		c := w.dial(t, url)
		c.say("40")
		c.greeting()
		if got := c.hear(); got != `42["from the middleware"]` {
			t.Fatalf("got %s", got)
		}
		c.end()
	}
	close(stop)
	emitting.Wait()
}

func ruleAskEnds(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	sockets := make(chan *realtime.Socket, 4)
	io.OnConnect(func(s *realtime.Socket) { sockets <- s })
	url := serve(t, io)

	t.Run("by the answer", func(t *testing.T) {
		c := w.dial(t, url).connect()
		go func() {
			text := c.hear()
			c.say("43" + strings.TrimSuffix(strings.TrimPrefix(text, "42"), `["q"]`) + `[{"a":1},2]`)
		}()
		answer, err := realtime.Ask[map[string]int](t.Context(), <-sockets, "q")
		if err != nil || answer["a"] != 1 {
			t.Errorf("%v, %v", answer, err)
		}
	})
	t.Run("by the context", func(t *testing.T) {
		w.dial(t, url).connect()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := realtime.Ask[int](ctx, <-sockets, "q"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("by the end of the socket", func(t *testing.T) {
		c := w.dial(t, url).connect()
		go func() { c.hear(); c.end() }()
		s := <-sockets
		if _, err := realtime.Ask[int](t.Context(), s, "q"); !errors.Is(err, realtime.ErrDisconnected) {
			t.Error(err)
		}
		if err := s.Emit("x"); !errors.Is(err, realtime.ErrDisconnected) {
			t.Error(err)
		}
		if _, err := realtime.Ask[int](t.Context(), s, "q"); !errors.Is(err, realtime.ErrDisconnected) {
			t.Error(err)
		}
	})
	t.Run("by a wrong type", func(t *testing.T) {
		c := w.dial(t, url).connect()
		go func() {
			text := c.hear()
			c.say("43" + strings.TrimSuffix(strings.TrimPrefix(text, "42"), `["q"]`) + `["text"]`)
		}()
		if _, err := realtime.Ask[int](t.Context(), <-sockets, "q"); err == nil || !strings.Contains(err.Error(), "string instead of int") {
			t.Error(err)
		}
	})
}

func ruleAskAllEnds(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	url := serve(t, io)
	for range realtime.AskAll[int](t.Context(), io.To("nobody").Timeout(time.Second), "q") {
		t.Error("nobody has answered")
	}
	for _, a := range realtime.AskAll[int](t.Context(), io.BroadcastOperator, "q") {
		if !errors.Is(a.Err, realtime.ErrNoTimeout) {
			t.Error(a.Err)
		}
	}
	answering, silent, leaving := w.dial(t, url).connect(), w.dial(t, url).connect(), w.dial(t, url).connect()
	go func() {
		text := answering.hear()
		answering.say("43" + strings.TrimSuffix(strings.TrimPrefix(text, "42"), `["q",1]`) + `[7]`)
		answering.say("43" + strings.TrimSuffix(strings.TrimPrefix(text, "42"), `["q",1]`) + `[8]`) // again: ignored
	}()
	go func() { leaving.hear(); leaving.end() }()
	var values []int
	var errs []error
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for id, a := range realtime.AskAll[int](ctx, io.BroadcastOperator, "q", 1) {
		if len(id) != 20 {
			t.Errorf("id %q", id)
		}
		if a.Err != nil {
			errs = append(errs, a.Err)
		} else {
			values = append(values, a.Value)
		}
		if len(values)+len(errs) == 2 {
			cancel() // the third will not answer
		}
	}
	if !slices.Equal(values, []int{7}) || len(errs) != 2 || !errors.Is(errs[0], realtime.ErrDisconnected) || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("values %v, errors %v", values, errs)
	}
	silent.end()
}

func ruleOperatorsDoNotChange(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	c := w.dial(t, serve(t, io)).connect()
	base := io.To("a")
	for range 3 {
		_ = base.To("b").Except("c").Volatile() // would share the array of base if it were careless
	}
	io.Join("a")
	if err := base.Emit("x"); err != nil {
		t.Error(err)
	}
	c.expect(`42["x"]`)
	if err := base.Emit("disconnect"); !errors.Is(err, realtime.ErrReserved) {
		t.Error(err)
	}
	if err := base.Emit("x", make(chan int)); err == nil {
		t.Error("a channel was emitted")
	}
}

func ruleJoinAfterDisconnectLeavesNothing(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	gone := make(chan *realtime.Socket, 1)
	io.OnDisconnect(func(s *realtime.Socket, _ realtime.Reason) { gone <- s })
	w.dial(t, serve(t, io)).connect().end()
	s := <-gone
	for io.Len() > 0 {
		time.Sleep(time.Millisecond)
	}
	s.Join("room")
	if rooms := io.Rooms(); len(rooms) != 0 {
		t.Errorf("left behind: %v", rooms)
	}
}

func ruleLeaveTakesBackAJoinOfAMiddleware(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	io.Use(func(s *realtime.Socket) error {
		s.Join("lobby", "staff")
		s.Leave("staff")
		return nil
	})
	realtime.Handle0(io, "rooms", func(_ context.Context, s *realtime.Socket) ([]string, error) { return s.Rooms()[1:], nil })
	c := w.dial(t, serve(t, io)).connect()
	c.say(`421["rooms"]`)
	c.expect(`431[["lobby"]]`)
}

func ruleDynamicNamespacesComeAndGo(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	parent := io.OfPattern(regexp.MustCompile(`^/r/\w+$`))
	var made atomic.Int32
	io.OnNamespace(func(*realtime.Namespace) { made.Add(1) })
	parent.Use(func(s *realtime.Socket) error {
		if s.Namespace().Name() == "/r/closed" {
			return realtime.Refuse("closed", nil)
		}
		return nil
	})
	url := serve(t, io)
	c := w.dial(t, url)
	for _, name := range []string{"/r/a", "/r/b"} {
		c.say("40" + name)
		c.hear()
	}
	c.say("40/r/closed")
	c.expect(`44/r/closed,{"message":"closed"}`)
	parent.Emit("hello")
	c.expect(`42/r/a,["hello"]`)
	c.expect(`42/r/b,["hello"]`)
	c.end()
	for len(parent.Namespaces()) > 0 {
		time.Sleep(time.Millisecond)
	}
	if n := made.Load(); n != 3 {
		t.Errorf("%d namespaces were made", n)
	}
	kept := io.Of("/r/kept")
	c = w.dial(t, url)
	c.say("40/r/kept")
	c.hear()
	c.end()
	for kept.Len() > 0 {
		time.Sleep(time.Millisecond)
	}
	if len(parent.Namespaces()) != 1 {
		t.Error("a namespace is gone that the program has named")
	}
}

// rulePanicsOfCallbacks: whatever panics, the server goes on.
func rulePanicsOfCallbacks(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	io.OfFunc(func(_ context.Context, name string, _ realtime.Value) bool {
		if name == "/parent" {
			panic(name)
		}
		return false
	})
	io.Of("/middleware").Use(func(*realtime.Socket) error { panic("middleware") })
	io.Of("/connect").OnConnect(func(*realtime.Socket) { panic("connect") })
	io.Of("/disconnect").OnDisconnect(func(*realtime.Socket, realtime.Reason) { panic("disconnect") })
	realtime.Handle0(io, "here", func(context.Context, *realtime.Socket) (string, error) { return "yes", nil })
	c := w.dial(t, serve(t, io)).connect()
	for _, step := range [][2]string{
		{"40/parent", `44/parent,{"message":"internal error"}`},
		{"40/middleware", `44/middleware,{"message":"internal error"}`},
	} {
		c.say(step[0])
		c.expect(step[1])
	}
	c.say("40/connect")
	c.hear()
	c.expect("41/connect,")
	c.say("40/disconnect")
	c.hear()
	c.say("41/disconnect")
	c.say(`421["here"]`)
	c.expect(`431["yes"]`)
}

func TestLimits(t *testing.T) {
	io := realtime.New(realtime.Options{
		MaxNamespaces:  3,
		ConnectTimeout: 100 * time.Millisecond,
		Limits:         packet.Limits{Attachments: 2},
		Engine:         engineio.Options{MaxPayload: 1000},
	})
	io.OfPattern(regexp.MustCompile("^/n"))
	url := serve(t, io)
	for name, frames := range map[string][]string{
		"joins nothing":        {},
		"too many namespaces":  {"40", "40/n1", "40/n2", "40/n3"},
		"too many attachments": {"40", `453-["x",{"_placeholder":true,"num":0}]`},
		"too large":            {"40", `42["` + strings.Repeat("x", 1000) + `"]`},
		"too deep":             {"40", `42["x",` + strings.Repeat("[", 130) + strings.Repeat("]", 130) + `]`},
		"long namespace":       {"40/n" + strings.Repeat("x", 600)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dialRaw(t, url)
			for _, f := range frames {
				c.say(f)
			}
			for !strings.Contains(c.hear(), "close") {
			}
		})
	}
}

func ruleBurstAfterDisconnectByServer(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	realtime.On0(io, "kick me", func(_ context.Context, s *realtime.Socket) error { s.Disconnect(); return nil })
	realtime.Handle0(io.Of("/other"), "here", func(context.Context, *realtime.Socket) (string, error) { return "yes", nil })
	c := w.dial(t, serve(t, io)).connect()
	c.say("40/other")
	c.hear()
	for range 20 {
		c.say(`42["kick me"]`) // the client cannot know yet that the first was enough
	}
	c.expect("41")
	c.say(`42/other,1["here"]`)
	c.expect(`43/other,1["yes"]`)
	c.connect() // and it may come back
}

func ruleHooks(t *testing.T, w world) {
	var mu sync.Mutex
	var log []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, fmt.Sprintf(format, args...))
	}
	io := realtime.New(realtime.Options{Hooks: realtime.Hooks{
		Connected:    func(s *realtime.Socket) { note("connected %s", s.Namespace().Name()) },
		Disconnected: func(_ *realtime.Socket, why realtime.Reason) { note("disconnected %s", why) },
		Refused:      func(nsp string, err error) { note("refused %s: %v", nsp, err) },
		Received:     func(_ *realtime.Socket, event string) { note("received %s", event) },
		Handled:      func(_ *realtime.Socket, event string, _ time.Duration, err error) { note("handled %s %v", event, err) },
		Joined: func(s *realtime.Socket, room string, members int) {
			note("joined %s with %d", strings.ReplaceAll(room, s.ID(), "own"), members)
		},
		Left: func(s *realtime.Socket, room string, members int) {
			note("left %s to %d", strings.ReplaceAll(room, s.ID(), "own"), members)
		},
		Sent: func(nsp string, n int) { note("sent %s to %d", nsp, n) },
	}})
	realtime.On0(io, "x", func(_ context.Context, s *realtime.Socket) error {
		s.Join("room")
		s.Join("room")
		return errors.New("no")
	})
	c := w.dial(t, serve(t, io))
	c.say("40/nowhere")
	c.hear()
	c.connect()
	c.say(`421["x"]`)
	c.expect(`431[{"error":{"message":"internal error"}}]`)
	io.Emit("hello")
	c.hear()
	c.say("41")
	for io.Len() > 0 {
		time.Sleep(time.Millisecond)
	}
	want := []string{
		"refused /nowhere: Invalid namespace", "joined own with 1", "connected /", "received x", "joined room with 1", "handled x no",
		"sent / to 1", "sent / to 1", "disconnected client namespace disconnect", "left room to 0", "left own to 0",
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(log, want) {
		t.Errorf("got %q", log)
	}
}

func ruleShutdownTellsEverybody(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	reasons := make(chan realtime.Reason, 10)
	io.OnDisconnect(func(_ *realtime.Socket, why realtime.Reason) {
		time.Sleep(20 * time.Millisecond) // Shutdown waits for it
		reasons <- why
	})
	url := serve(t, io)
	for range 10 {
		w.dial(t, url).connect()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := io.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if len(reasons) != 10 {
		t.Fatalf("%d were told", len(reasons))
	}
	for range 10 {
		if why := <-reasons; why != realtime.ReasonShutdown {
			t.Errorf("reason %q", why)
		}
	}
}
