package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, l Limits) string {
	t.Helper()
	io := realtime.New(realtime.Options{AckError: problem.Ack})
	Relay(io, l)
	Example(io.Of("/"))
	Tutorial(io.Of("/"), history.NewMemory(history.Retention{}, 0))
	web := httptest.NewServer(io)
	t.Cleanup(func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := io.Shutdown(grace); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return web.URL
}

// peer keeps everything that it receives as text: "event [args]".
type peer struct {
	*client.Socket
	t   *testing.T
	got chan string
}

func dial(t *testing.T, url, namespace string, auth any) *peer {
	t.Helper()
	p := &peer{t: t, got: make(chan string, 1000)}
	cl, err := client.New(url, client.Options{Auth: auth, NoReconnect: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close() })
	p.Socket = cl.Of(namespace)
	p.OnAny(func(_ context.Context, e *client.Event) error {
		args := make([]any, len(e.Args()))
		for i, v := range e.Args() {
			if err := v.Decode(&args[i]); err != nil {
				t.Error(err)
			}
		}
		p.got <- fmt.Sprint(e.Name(), args)
		return nil
	})
	if err := cl.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) gets(want ...string) {
	p.t.Helper()
	for _, w := range want {
		select {
		case got := <-p.got:
			if got != w {
				p.t.Fatalf("received %q; want %q", got, w)
			}
		case <-time.After(5 * time.Second):
			p.t.Fatalf("%q never came", w)
		}
	}
}

func (p *peer) emit(event string, args ...any) {
	p.t.Helper()
	if err := p.Emit(event, args...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) ask(event string, args ...any) any {
	p.t.Helper()
	got, err := client.Ask[any](p.t.Context(), p, event, args...)
	if e, ok := errors.AsType[*client.AckError](err); ok {
		return e.Message
	}
	if err != nil {
		p.t.Fatalf("%s: %v", event, err)
	}
	return got
}

func TestRelay(t *testing.T) {
	url := serve(t, Limits{})
	a, b, c := dial(t, url, "/relay/board", nil), dial(t, url, "/relay/board", nil), dial(t, url, "/relay/other", nil)
	if got := a.ask("draw", map[string]any{"x": 1}, []byte{1, 2}, nil); got != 1.0 {
		t.Errorf("one other got it, says the acknowledgement: %v", got)
	}
	b.gets("draw[map[x:1] [1 2] <nil>]")
	b.emit("clear")
	a.gets("clear[]")

	a.ask("$join", "blue")
	if got := b.ask("$to", "blue", "draw", 1, []byte{3}); got != 1.0 {
		t.Errorf("to a room of one other: %v", got)
	}
	a.gets("draw[1 [3]]")
	b.ask("$to", []any{"blue", "draw", 2})
	a.gets("draw[2]")
	ids := []string{a.ID(), b.ID()}
	slices.Sort(ids)
	if got := a.ask("$who"); fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("here are %v; want %v", got, ids)
	}
	if got := b.ask("$who", "blue"); fmt.Sprint(got) != fmt.Sprintf("[%s]", a.ID()) {
		t.Errorf("in the room are %v", got)
	}
	a.ask("$leave", "blue")
	if got := b.ask("$to", "blue", "draw"); got != 0.0 {
		t.Errorf("to a room that was left: %v", got)
	}
	// The id of a client is no room of the relay's.
	if got := b.ask("$to", a.ID(), "draw"); got != 0.0 {
		t.Errorf("to a client: %v", got)
	}
	for _, args := range [][]any{{"$to", "blue"}, {"$to", "", "x"}, {"$to", "blue", "$join"}, {"$to", "blue", "disconnect"}, {"$join", ""}, {"$join", 5}, {"$what"}} {
		if got, refused := a.ask(args[0].(string), args[1:]...).(string); !refused || got == "" {
			t.Errorf("%v was taken", args)
		}
	}
	select {
	case got := <-c.got:
		t.Errorf("in another namespace came %q", got)
	default:
	}
}

func TestRelayTooOften(t *testing.T) {
	a := dial(t, serve(t, Limits{Rate: 0.001, Burst: 2}), "/relay/x", nil)
	a.ask("draw")
	a.ask("draw")
	if got := a.ask("draw"); got != "too many events at once" {
		t.Errorf("the third is answered with %v", got)
	}
}

func TestExample(t *testing.T) {
	url := serve(t, Limits{})
	ann, bob := dial(t, url, "/", nil), dial(t, url, "/", nil)
	ann.emit("add user", "ann")
	ann.gets("login[map[numUsers:1]]")
	bob.gets("user joined[map[numUsers:1 username:ann]]")
	bob.emit("add user", "bob")
	bob.gets("login[map[numUsers:2]]")
	ann.gets("user joined[map[numUsers:2 username:bob]]")
	ann.emit("typing")
	bob.gets("typing[map[username:ann]]")
	ann.emit("stop typing")
	ann.emit("new message", "hello")
	bob.gets("stop typing[map[username:ann]]", "new message[map[message:hello username:ann]]")
	_ = ann.Client().Close()
	bob.gets("user left[map[numUsers:1 username:ann]]")
}

func TestTutorial(t *testing.T) {
	url := serve(t, Limits{})
	plain, ann := dial(t, url, "/", nil), dial(t, url, "/", map[string]any{"serverOffset": 0})
	plain.emit("chat message", "first steps")
	plain.gets("chat message[first steps 1]")
	ann.gets("chat message[first steps 1]")
	for range 2 { // as the client does that was not answered
		if got := ann.ask("chat message", "later steps", "id-0"); got != nil {
			t.Errorf("acknowledged with %v", got)
		}
	}
	plain.gets("chat message[later steps 2]")
	ann.gets("chat message[later steps 2]")
	late := dial(t, url, "/", map[string]any{"serverOffset": 1})
	late.gets("chat message[later steps 2]")
	plain.emit("chat message", "third")
	late.gets("chat message[third 3]")
	dial(t, url, "/", map[string]any{"serverOffset": 0}).gets("chat message[first steps 1]", "chat message[later steps 2]", "chat message[third 3]")
}
