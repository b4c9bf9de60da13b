package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime/client"
)

func TestBehaviour(t *testing.T) {
	everywhere(t, setup{}, map[string]func(*testing.T, world){
		"values":        testValues,
		"order":         testOrder,
		"question":      testQuestion,
		"namespaces":    testNamespaces,
		"auth":          testAuth,
		"refusal":       testRefusal,
		"kick":          testKick,
		"drop":          testDrop,
		"garbage":       testGarbage,
		"leave":         testLeave,
		"buffer":        testBuffer,
		"volatile":      testVolatile,
		"ack ends":      testAckEnds,
		"retries":       testRetries,
		"retries fail":  testRetriesFail,
		"close drains":  testCloseDrains,
		"catch all":     testCatchAll,
		"handlers":      testHandlers,
		"handler error": testHandlerError,
		"storm":         testStorm,
	})
}

func testValues(t *testing.T, w world) {
	s := w.socket(t, "/")
	type nested struct {
		Name string            `json:"name"`
		Data []byte            `json:"data"`
		More map[string][]byte `json:"more"`
	}
	large := strings.Repeat("größer 😀 ", 20000)
	for _, value := range []any{
		"text", "", "€ \"quoted\" \n\u2028", large, 1.5, float64(-12345678901), true, nil,
		[]any{"a", 1.0, nil}, map[string]any{"a": []any{}, "_x": "y"},
	} {
		if got := ask[any](t, s, "ask", value); !reflect.DeepEqual(got, value) {
			t.Errorf("sent %.50v, got back %.50v", value, got)
		}
	}
	for _, value := range [][]byte{{}, {0, 255, 30}, bytes.Repeat([]byte("x\x1ey"), 100000)} {
		if got := ask[[]byte](t, s, "ask", value); !bytes.Equal(got, value) {
			t.Errorf("sent %d bytes, got back %d", len(value), len(got))
		}
	}
	value := nested{"n", []byte{1, 2}, map[string][]byte{"a": {3}, "b": {}}}
	if got := ask[nested](t, s, "ask", value); !reflect.DeepEqual(got, value) {
		t.Errorf("sent %v, got back %v", value, got)
	}

	echo := make(chan string, 1)
	client.On3(s, "echo", func(_ context.Context, _ *client.Socket, a int, b []byte, c []string) error {
		echo <- fmt.Sprint(a, b, c)
		return nil
	})
	emit(t, s, "echo", 7, []byte{8}, []string{"nine"})
	if got := next(t, echo); got != "7 [8] [nine]" {
		t.Errorf("echo of several arguments: %s", got)
	}
	values, err := client.Ask[client.Args](soon(t), s, "ask", 1, "two")
	if err != nil || len(values) != 2 || string(values[1].JSON()) != `"two"` {
		t.Errorf("answer of several values: %v, %v", values, err)
	}
}

func testOrder(t *testing.T, w world) {
	s := w.socket(t, "/")
	const count = 1000
	ticks := make(chan int, count)
	client.On(s, "tick", func(_ context.Context, _ *client.Socket, n int) error { ticks <- n; return nil })
	emit(t, s, "count", count)
	for want := range count {
		if got := next(t, ticks); got != want {
			t.Fatalf("tick %d came as number %d", got, want)
		}
	}
	echo := make(chan int, count)
	client.On2(s, "echo", func(_ context.Context, _ *client.Socket, n int, _ any) error { echo <- n; return nil })
	for n := range count {
		if n%5 == 0 {
			emit(t, s, "echo", n, []byte("binary"))
		} else {
			emit(t, s, "echo", n)
		}
	}
	for want := range count {
		if got := next(t, echo); got != want {
			t.Fatalf("echo of %d came as number %d", got, want)
		}
	}
}

// The server asks, with what the handler gives as its answer.
func testQuestion(t *testing.T, w world) {
	s := w.socket(t, "/")
	client.Handle(s, "question", func(ctx context.Context, s *client.Socket, n int) (int, error) {
		// A handler may ask in turn.
		return client.Ask[int](ctx, s, "ask", n+1)
	})
	graded := make(chan int, 1)
	client.On(s, "graded", func(_ context.Context, _ *client.Socket, n int) error { graded <- n; return nil })
	emit(t, s, "quiz", 41)
	if got := next(t, graded); got != 42 {
		t.Errorf("the server was answered %d", got)
	}
}

func testNamespaces(t *testing.T, w world) {
	c := w.client(t, w.options())
	root, chat := c.Of("/"), c.Of("chat")
	connect(t, c)
	if c.Of("/chat") != chat {
		t.Error("Of returned another socket for the same namespace")
	}
	if root.ID() == "" || root.ID() == chat.ID() || ask[string](t, chat, "id") != chat.ID() {
		t.Errorf("ids %q and %q", root.ID(), chat.ID())
	}
	echo := make(chan string, 2)
	client.On(root, "echo", func(_ context.Context, s *client.Socket, _ any) error { echo <- s.Namespace(); return nil })
	client.On(chat, "echo", func(_ context.Context, s *client.Socket, _ any) error { echo <- s.Namespace(); return nil })
	emit(t, chat, "echo", 1)
	if got := next(t, echo); got != "/chat" {
		t.Errorf("echo of /chat came to %s", got)
	}
	chat.Disconnect()
	if ask[int](t, root, "ask", 1); chat.Connected() || !root.Connected() {
		t.Error("leaving one namespace changed the other")
	}
}

func testAuth(t *testing.T, w world) {
	o := w.options()
	o.Auth = map[string]any{"token": "abc"}
	c := w.client(t, o)
	s := c.Of("/")
	connect(t, c)
	if got := ask[map[string]string](t, s, "auth"); got["token"] != "abc" {
		t.Errorf("auth as a value: %v", got)
	}

	o.Auth, o.AuthFunc = nil, func() func(context.Context, string) (any, error) {
		calls := 0
		return func(_ context.Context, namespace string) (any, error) {
			if calls++; calls == 1 {
				return nil, errors.New("no token yet")
			}
			return map[string]any{"token": namespace, "call": calls}, nil
		}
	}()
	c = w.client(t, o)
	s = c.Of("/chat")
	failed := make(chan error, 1)
	s.OnConnectError(func(_ *client.Socket, err error) { failed <- err })
	connect(t, c)
	if err := next(t, failed); !strings.Contains(err.Error(), "no token yet") {
		t.Errorf("failing AuthFunc: %v", err)
	}
	if got := ask[map[string]any](t, s, "auth"); got["token"] != "/chat" || got["call"] != 2.0 {
		t.Errorf("auth as a function: %v", got)
	}
}

func testRefusal(t *testing.T, w world) {
	token := "wrong"
	o := w.options()
	o.AuthFunc = func(context.Context, string) (any, error) { return map[string]string{"token": token}, nil }
	c := w.client(t, o)
	s := c.Of("/refuse")
	refused := make(chan error, 1)
	s.OnConnectError(func(_ *client.Socket, err error) { refused <- err })
	go c.Run(t.Context())
	t.Cleanup(func() { c.Close(); c.Wait() })

	refusal, ok := errors.AsType[*client.Refusal](next(t, refused))
	if !ok || refusal.Message != "not you" || string(refusal.Data) != `{"code":42}` || refusal.Namespace != "/refuse" {
		t.Fatalf("refused with %+v", refusal)
	}
	if err := s.WaitConnected(soon(t)); !errors.As(err, &refusal) || s.Active() {
		t.Errorf("waiting for a refused socket: %v", err)
	}
	token = "let me in"
	s.Connect()
	if err := s.WaitConnected(soon(t)); err != nil {
		t.Errorf("with the right token: %v", err)
	}

	u := strings.TrimSuffix(w.url, "/") + "/nowhere"
	if _, err := client.Dial(soon(t), u, w.options()); !errors.As(err, &refusal) || refusal.Message != "Invalid namespace" {
		t.Errorf("unknown namespace: %v", err)
	}
}

func reasons(s *client.Socket) <-chan client.Reason {
	why := make(chan client.Reason, 1000)
	s.OnDisconnect(func(_ *client.Socket, reason client.Reason) { why <- reason })
	return why
}

func testKick(t *testing.T, w world) {
	s := w.socket(t, "/chat")
	why := reasons(s)
	emit(t, s, "kick")
	if got := next(t, why); got != client.ReasonServerDisconnect || s.Active() {
		t.Errorf("kicked: %s, active %v", got, s.Active())
	}
	s.Connect()
	if err := s.WaitConnected(soon(t)); err != nil {
		t.Fatal(err)
	}
	ask[int](t, s, "ask", 1)
}

func testDrop(t *testing.T, w world) {
	s := w.socket(t, "/chat")
	why := reasons(s)
	first := s.ID()
	emit(t, s, "drop")
	if got := next(t, why); got != client.ReasonTransportClose {
		t.Errorf("dropped: %s", got)
	}
	if id := ask[string](t, s, "id"); id == first || id == "" {
		t.Errorf("id %q after %q", id, first)
	}
}

func testGarbage(t *testing.T, w world) {
	if w.name != "node" {
		t.Skip("our server does not send garbage")
	}
	s := w.socket(t, "/")
	why := reasons(s)
	emit(t, s, "garbage")
	if got := next(t, why); got != client.ReasonParseError {
		t.Errorf("after garbage: %s", got)
	}
	ask[int](t, s, "ask", 1)
}

func testLeave(t *testing.T, w world) {
	s := w.socket(t, "/")
	why := reasons(s)
	s.Disconnect()
	if got := next(t, why); got != client.ReasonClientDisconnect || s.Active() || s.Connected() || s.ID() != "" {
		t.Errorf("left: %s, active %v, connected %v, id %q", got, s.Active(), s.Connected(), s.ID())
	}
	answered := make(chan error, 1)
	go func() {
		_, err := client.Ask[int](soon(t), s, "ask", 1)
		answered <- err
	}()
	s.Connect()
	if err := next(t, answered); err != nil {
		t.Errorf("asking while away: %v", err)
	}
}

// What is emitted without a connection is sent on the next one, in order.
func testBuffer(t *testing.T, w world) {
	c := w.client(t, w.options())
	s := c.Of("/")
	echo := make(chan int, 100)
	client.On(s, "echo", func(_ context.Context, _ *client.Socket, n int) error { echo <- n; return nil })
	for n := range 5 {
		emit(t, s, "echo", n)
	}
	comes := func(from, to int) {
		for want := from; want < to; want++ {
			if got := next(t, echo); got != want {
				t.Fatalf("echo of %d came as number %d", got, want)
			}
		}
	}
	connect(t, c)
	comes(0, 5)
	why := reasons(s)
	w.net.cut()
	next(t, why)
	for n := range 5 {
		emit(t, s, "echo", 5+n)
	}
	w.net.mend()
	comes(5, 10)
}

func testVolatile(t *testing.T, w world) {
	c := w.client(t, w.options())
	s := c.Of("/")
	emit(t, s.Volatile(), "echo", "lost")
	if _, err := client.Ask[int](soon(t), s.Volatile(), "ask", 1); !errors.Is(err, client.ErrDropped) {
		t.Errorf("asking volatile without a connection: %v", err)
	}
	echo := make(chan string, 100)
	client.On(s, "echo", func(_ context.Context, _ *client.Socket, text string) error { echo <- text; return nil })
	connect(t, c)
	for {
		// It gets through as soon as nothing else is being written.
		emit(t, s.Volatile(), "echo", "seen")
		select {
		case text := <-echo:
			if text != "seen" {
				t.Errorf("got %q", text)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func testAckEnds(t *testing.T, w world) {
	s := w.socket(t, "/")
	if _, err := client.Ask[int](soon(t), s.Timeout(20*time.Millisecond), "never"); !errors.Is(err, client.ErrAckTimeout) {
		t.Errorf("after the timeout: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := client.Ask[int](ctx, s, "never"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	time.AfterFunc(20*time.Millisecond, w.net.cut)
	if _, err := client.Ask[int](soon(t), s, "never"); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("after the loss of the connection: %v", err)
	}
	w.net.mend()
	if err := s.WaitConnected(soon(t)); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { s.Close() })
	if _, err := client.Ask[int](soon(t), s, "never"); !errors.Is(err, client.ErrDisconnected) && !errors.Is(err, client.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := s.Emit("echo"); !errors.Is(err, client.ErrClosed) {
		t.Errorf("emit after Close: %v", err)
	}
}

// ids are the names of what a test has the server store.
func ids(t *testing.T, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s %d", t.Name(), i)
	}
	return list
}

func stored(t *testing.T, s *client.Socket) []string {
	t.Helper()
	return slices.DeleteFunc(ask[[]string](t, s, "stored"), func(id string) bool {
		return !strings.HasPrefix(id, t.Name()+" ")
	})
}

// A server that acknowledges only now and then gets everything, in order.
func testRetries(t *testing.T, w world) {
	o := w.options()
	o.Retries, o.AckTimeout = 20, 30*time.Millisecond
	c := w.client(t, o)
	s := c.Of("/")
	connect(t, c)
	want := ids(t, 6)
	for _, id := range want[:5] {
		emit(t, s, "store", id)
	}
	if _, err := client.Ask[int](soon(t), s, "store", want[5]); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, w.socket(t, "/")); !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

func testRetriesFail(t *testing.T, w world) {
	o := w.options()
	o.Retries, o.AckTimeout = 2, 10*time.Millisecond
	c := w.client(t, o)
	s := c.Of("/")
	failed := make(chan error, 1)
	s.OnError(func(_ *client.Socket, event string, err error) {
		if event == "never" {
			failed <- err
		}
	})
	connect(t, c)
	emit(t, s, "never")
	if err := next(t, failed); !errors.Is(err, client.ErrAckTimeout) {
		t.Errorf("emit without an answer: %v", err)
	}
	if _, err := client.Ask[int](soon(t), s, "never"); !errors.Is(err, client.ErrAckTimeout) {
		t.Errorf("ask without an answer: %v", err)
	}
	if got := ask[int](t, s.Timeout(20*time.Second), "ask", 5); got != 5 {
		t.Errorf("the next one was answered %d", got)
	}
}

// Close sends what was emitted before.
func testCloseDrains(t *testing.T, w world) {
	s := w.socket(t, "/")
	want := ids(t, 100)
	for _, id := range want {
		emit(t, s, "store", id, strings.Repeat("x", 1000))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	other := w.socket(t, "/")
	var got []string
	for ctx := soon(t); ctx.Err() == nil && len(got) < len(want); {
		got = stored(t, other)
	}
	if !slices.Equal(got, want) {
		t.Errorf("stored %d of %d", len(got), len(want))
	}
}

func testCatchAll(t *testing.T, w world) {
	c := w.client(t, w.options())
	s := c.Of("/")
	in, out := make(chan string, 10), make(chan string, 10)
	noIn := s.OnAny(func(_ context.Context, e *client.Event) error {
		in <- fmt.Sprint(e.Name(), len(e.Args()))
		return nil
	})
	noOut := s.OnAnyOutgoing(func(_ *client.Socket, event string, args client.Args) {
		out <- fmt.Sprint(event, len(args))
	})
	connect(t, c)
	emit(t, s, "echo", 1, 2)
	if got := next(t, out); got != "echo2" {
		t.Errorf("outgoing %s", got)
	}
	if got := next(t, in); got != "echo2" {
		t.Errorf("incoming %s", got)
	}
	noIn()
	noOut()
	answered := make(chan bool)
	client.On0(s, "echo", func(context.Context, *client.Socket) error { close(answered); return nil })
	emit(t, s, "echo")
	next(t, answered)
	if len(in)+len(out) > 0 {
		t.Error("a catch-all is called that was taken out")
	}
}

// Handlers of one socket run one at a time and hold up no other socket.
func testHandlers(t *testing.T, w world) {
	c := w.client(t, w.options())
	slow, quick := c.Of("/"), c.Of("/chat")
	started, release := make(chan bool), make(chan bool)
	client.On(slow, "echo", func(context.Context, *client.Socket, int) error {
		started <- true
		<-release
		return nil
	})
	connect(t, c)
	emit(t, slow, "echo", 1)
	emit(t, slow, "echo", 2)
	next(t, started)
	if got := ask[int](t, quick, "ask", 3); got != 3 {
		t.Errorf("other socket was answered %d", got)
	}
	select {
	case <-started:
		t.Error("two handlers of one socket at a time")
	case <-time.After(20 * time.Millisecond):
	}
	release <- true
	next(t, started)
	release <- true
}

func testHandlerError(t *testing.T, w world) {
	s := w.socket(t, "/")
	failed, seen := make(chan error, 10), make(chan string, 10)
	s.OnError(func(_ *client.Socket, _ string, err error) { failed <- err })
	remove := client.On(s, "echo", func(_ context.Context, _ *client.Socket, n int) error {
		return fmt.Errorf("no to %d", n)
	})
	client.OnArgs(s, "echo", func(_ context.Context, e *client.Event) error {
		seen <- string(e.Args()[0].JSON())
		return nil
	})
	emit(t, s, "echo", 5)
	if err := next(t, failed); err.Error() != "no to 5" {
		t.Errorf("error of a handler: %v", err)
	}
	emit(t, s, "echo", "five")
	if err := next(t, failed); !strings.Contains(err.Error(), "argument 1:") {
		t.Errorf("wrong type: %v", err)
	}
	remove()
	emit(t, s, "echo", "six")
	for _, want := range []string{"5", `"five"`, `"six"`} {
		if got := next(t, seen); got != want {
			t.Errorf("second handler saw %s, want %s", got, want)
		}
	}
	if len(failed) > 0 {
		t.Errorf("removed handler was called: %v", <-failed)
	}
	if err := s.Emit("connect"); !errors.Is(err, client.ErrReserved) {
		t.Errorf("reserved name: %v", err)
	}
	if err := s.Emit("echo", make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}

// While the connection breaks again and again, nothing is lost and nothing
// stored twice.
func testStorm(t *testing.T, w world) {
	o := w.options()
	o.Retries, o.AckTimeout = 1000, 20*time.Millisecond
	c := w.client(t, o)
	s := c.Of("/")
	connect(t, c)
	stop := make(chan struct{})
	stormed := make(chan int)
	go func() {
		cuts := 0
		for {
			select {
			case <-stop:
				stormed <- cuts
				return
			case <-time.After(25 * time.Millisecond):
				w.net.cut()
				w.net.mend()
				cuts++
			}
		}
	}()
	want := ids(t, 10)
	for _, id := range want[:9] {
		emit(t, s, "store", id)
	}
	_, err := client.Ask[int](soon(t), s, "store", want[9])
	close(stop)
	cuts := <-stormed
	if err != nil {
		t.Fatalf("after %d cuts: %v", cuts, err)
	}
	if got := stored(t, w.socket(t, "/")); !slices.Equal(got, want) {
		t.Errorf("after %d cuts stored %q, want %q", cuts, got, want)
	}
}
