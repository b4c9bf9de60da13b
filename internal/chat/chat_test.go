package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/internal/store"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a chat with everything beneath it, on a port of its own.
type house struct {
	t    *testing.T
	path string
	url  string
	chat *Chat
	stop func()
}

// newHouse starts a chat on the store in a folder. Whoever connects with
// {"admin": true} is the administrator.
func newHouse(t *testing.T, path string) *house {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: path, Logs: map[string]store.LogConfig{"chat": {Text: Text}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stored := make(chan error, 1)
	go func() { stored <- s.Run(ctx) }()
	c, err := Open(t.Context(), Config{
		Rooms: []string{"lobby"}, Log: s.Log("chat"), State: s.Dict("chat"),
		Admin: func(s *realtime.Socket) bool {
			var auth struct{ Admin bool }
			return s.Auth(&auth) == nil && auth.Admin
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	io := realtime.New(realtime.Options{AckError: problem.Ack})
	c.Serve(io.Of("/chat"))
	web := httptest.NewServer(io)
	h := &house{t: t, path: path, url: web.URL, chat: c}
	h.stop = sync.OnceFunc(func() {
		grace, end := context.WithTimeout(ctx, 5*time.Second)
		defer end()
		if err := io.Shutdown(grace); err != nil {
			t.Errorf("ending: %v", err)
		}
		web.Close()
		cancel()
		if err := <-stored; err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	t.Cleanup(h.stop)
	return h
}

func house1(t *testing.T) *house { return newHouse(t, filepath.Join(t.TempDir(), "store.db")) }

// person is somebody's client. What they receive is kept.
type person struct {
	t      *testing.T
	socket *client.Socket
	events chan event
}

type event struct {
	name string
	data map[string]any
}

func (h *house) enter(auth any) *person {
	h.t.Helper()
	p := &person{t: h.t, events: make(chan event, 4096)}
	cl, err := client.New(h.url, client.Options{Auth: auth, NoReconnect: true})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = cl.Close() })
	p.socket = cl.Of("/chat")
	for _, name := range []string{"message", "presence", "typing", "invited", "deleted", "kicked", "locked"} {
		client.On(p.socket, name, func(_ context.Context, _ *client.Socket, data map[string]any) error {
			p.events <- event{name, data}
			return nil
		})
	}
	if err := cl.Connect(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return p
}

type object = map[string]any

// ask emits and returns the answer, or the refusal's code.
func (p *person) ask(verb string, v any) (object, int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	got, err := client.Ask[object](ctx, p.socket, verb, v)
	var ackErr *client.AckError
	if err != nil && !errors.As(err, &ackErr) {
		p.t.Fatalf("%s %v: %v", verb, v, err)
	}
	if ackErr == nil {
		return got, 0
	}
	var refusal struct{ Code int }
	if err := json.Unmarshal(ackErr.Data, &refusal); err != nil || ackErr.Message == "" {
		p.t.Errorf("%s %v was refused with %s", verb, v, ackErr.Data)
	}
	return nil, refusal.Code
}

func (p *person) must(verb string, v any) object {
	p.t.Helper()
	got, code := p.ask(verb, v)
	if code != 0 {
		p.t.Fatalf("%s %v was refused with %d", verb, v, code)
	}
	return got
}

func (p *person) refused(want int, verb string, v any) {
	p.t.Helper()
	if got, code := p.ask(verb, v); code != want {
		p.t.Errorf("%s %v: %v, code %d; want %d", verb, v, got, code, want)
	}
}

// gets waits for the next event and compares some of its fields.
func (p *person) gets(name string, want object) object {
	p.t.Helper()
	select {
	case e := <-p.events:
		for key, value := range want {
			if fmt.Sprint(e.data[key]) != fmt.Sprint(value) {
				p.t.Fatalf("received %s %v; want %s %v", e.name, e.data, name, want)
			}
		}
		if e.name != name {
			p.t.Fatalf("received %s %v; want %s", e.name, e.data, name)
		}
		return e.data
	case <-time.After(5 * time.Second):
		p.t.Fatalf("%s %v never came", name, want)
		return nil
	}
}

func (p *person) getsNothing() {
	p.t.Helper()
	p.must("rooms", object{}) // whatever was sent before has arrived with the answer
	select {
	case e := <-p.events:
		p.t.Errorf("received %s %v; want nothing", e.name, e.data)
	default:
	}
}

func (p *person) join(room, nick string) object {
	p.t.Helper()
	return p.must("join", object{"room": room, "nick": nick})
}

func said(answer object) []string {
	texts := []string{}
	for _, m := range answer["messages"].([]any) {
		texts = append(texts, m.(object)["text"].(string))
	}
	return texts
}

func TestTwoPeopleTalk(t *testing.T) {
	h := house1(t)
	ann, bob := h.enter(nil), h.enter(nil)
	first := ann.join("lobby", " Ann  Lee ")
	if fmt.Sprintf("%v %v %v %v", first["members"], first["messages"], first["last"], first["room"]) != "[Ann Lee] [] 0 lobby" {
		t.Errorf("ann sees %v", first)
	}
	if got := bob.join("lobby", "bob"); fmt.Sprint(got["members"]) != "[Ann Lee bob]" {
		t.Errorf("bob sees %v", got)
	}
	ann.gets("presence", object{"room": "lobby", "nick": "bob", "joined": true})

	receipt := ann.must("message", object{"room": "lobby", "text": "<b>hello</b>", "id": "a-1"})
	if receipt["seq"] != 1.0 || time.Since(time.UnixMilli(int64(receipt["time"].(float64)))) > time.Minute {
		t.Errorf("ann's receipt is %v", receipt)
	}
	bob.gets("message", object{"room": "lobby", "seq": 1, "nick": "Ann Lee", "text": "<b>hello</b>", "id": "a-1", "time": receipt["time"]})
	if again := ann.must("message", object{"room": "lobby", "text": "<b>hello</b>", "id": "a-1"}); again["seq"] != 1.0 || again["time"] != receipt["time"] {
		t.Errorf("the retry's receipt is %v", again)
	}
	// An id is the sender's own.
	if other := bob.must("message", object{"room": "lobby", "text": "hi", "id": "a-1"}); other["seq"] != 2.0 {
		t.Errorf("bob's receipt is %v", other)
	}
	ann.gets("message", object{"seq": 2, "nick": "bob"})
	ann.must("typing", object{"room": "lobby", "typing": true})
	bob.gets("typing", object{"room": "lobby", "nick": "Ann Lee", "typing": true})
	bob.getsNothing()
	ann.getsNothing()

	ann.must("leave", object{"room": "lobby"})
	bob.gets("presence", object{"room": "lobby", "nick": "Ann Lee", "joined": false})
	ann.refused(403, "message", object{"room": "lobby", "text": "still here?"})
}

func TestPresenceIsByName(t *testing.T) {
	h := house1(t)
	watcher, one, two := h.enter(nil), h.enter(nil), h.enter(nil)
	watcher.join("lobby", "watcher")
	one.join("lobby", "ann")
	watcher.gets("presence", object{"nick": "ann", "joined": true})
	if got := two.join("lobby", "ann"); fmt.Sprint(got["members"]) != "[ann watcher]" {
		t.Errorf("the members are %v", got["members"])
	}
	_ = one.socket.Client().Close()
	watcher.getsNothing()
	two.join("lobby", "eve") // another name
	watcher.gets("presence", object{"nick": "ann", "joined": false})
	watcher.gets("presence", object{"nick": "eve", "joined": true})
	_ = two.socket.Client().Close()
	watcher.gets("presence", object{"nick": "eve", "joined": false})
}

func TestHistory(t *testing.T) {
	h := house1(t)
	ann := h.enter(nil)
	ann.join("lobby", "ann")
	var want []string
	for i := 1; i <= 120; i++ {
		text := fmt.Sprintf("message %d", i)
		ann.must("message", object{"room": "lobby", "text": text})
		want = append(want, text)
	}
	bob := h.enter(nil)
	if got := said(bob.join("lobby", "bob")); !slices.Equal(got, want[70:]) {
		t.Errorf("at first there are %d messages, from %q", len(got), got[0])
	}
	for _, c := range []struct {
		query object
		want  []string
	}{
		{object{"before": 71}, want[20:70]},
		{object{"before": 71, "limit": 5}, want[65:70]},
		{object{"since": 100}, want[100:]},
		{object{"since": 0, "limit": 1000}, want},
		{object{"since": 100, "before": 111}, want[100:110]},
		{object{"since": "10m"}, want},
		{object{"limit": 3}, want[117:]},
	} {
		c.query["room"] = "lobby"
		if got := said(bob.must("history", c.query)); !slices.Equal(got, c.want) {
			t.Errorf("%v gives %d messages; want %d", c.query, len(got), len(c.want))
		}
	}
	if got := said(bob.must("search", object{"text": "Message 42"})); !slices.Equal(got, []string{"message 42"}) {
		t.Errorf("found %q", got)
	}
	if got := said(bob.must("search", object{"room": "lobby", "text": "message", "limit": 2})); !slices.Equal(got, want[118:]) {
		t.Errorf("found %q", got)
	}
	bob.refused(403, "search", object{"room": "kitchen", "text": "message"})
	bob.refused(404, "history", object{"room": "nowhere"})
}

func TestResumeAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	h := newHouse(t, path)
	ann, bob := h.enter(object{"device": "ann's"}), h.enter(nil)
	ann.join("lobby", "ann")
	bob.join("lobby", "bob")
	ann.must("message", object{"room": "lobby", "text": "one", "id": "1"})
	_ = bob.socket.Client().Close()
	ann.must("message", object{"room": "lobby", "text": "two", "id": "2"})
	h.stop()

	h = newHouse(t, path)
	ann, bob = h.enter(object{"device": "ann's"}), h.enter(nil)
	ann.join("lobby", "annie")
	if got := ann.must("message", object{"room": "lobby", "text": "two", "id": "2"}); got["seq"] != 2.0 {
		t.Errorf("the retry after the restart got %v", got)
	}
	if got := bob.must("join", object{"room": "lobby", "nick": "bob", "since": 1}); !slices.Equal(said(got), []string{"two"}) || got["last"] != 2.0 {
		t.Errorf("bob missed %v", got)
	}
	if got := ann.must("message", object{"room": "lobby", "text": "three"}); got["seq"] != 3.0 {
		t.Errorf("the next message got %v", got)
	}
	bob.gets("message", object{"seq": 3, "text": "three"})
}

// TestResumeLosesNothing joins again and again while somebody writes.
func TestResumeLosesNothing(t *testing.T) {
	h := house1(t)
	const n = 600
	ann := h.enter(nil)
	ann.join("lobby", "ann")
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for i := range n {
			if _, err := client.Ask[object](t.Context(), ann.socket, "message", object{"room": "lobby", "text": fmt.Sprint(i + 1)}); err != nil {
				t.Error(err)
			}
		}
	}()
	seen := 0
	take := func(seq int) {
		if seq != seen+1 {
			t.Fatalf("after %d came %d", seen, seq)
		}
		seen = seq
	}
	for seen < n {
		bob := h.enter(nil)
		answer := bob.must("join", object{"room": "lobby", "nick": "bob", "since": seen})
		for _, m := range answer["messages"].([]any) {
			take(int(m.(object)["seq"].(float64)))
		}
		for range 20 {
			if seen == n {
				break
			}
			select {
			case e := <-bob.events:
				take(int(e.data["seq"].(float64)))
			case <-time.After(5 * time.Second):
				t.Fatalf("nothing came after %d", seen)
			}
		}
		_ = bob.socket.Client().Close()
	}
	<-wrote
}

func TestDirect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	h := newHouse(t, path)
	ann, bob, eve := h.enter(object{"device": "A"}), h.enter(object{"device": "B"}), h.enter(nil)
	ann.refused(403, "direct", object{"to": "bob"}) // nobody knows her name
	ann.join("lobby", "ann")
	ann.refused(404, "direct", object{"to": "bob"})
	ann.refused(400, "direct", object{"to": "ann"})
	bob.join("lobby", "bob")
	eve.join("lobby", "eve")
	room := ann.must("direct", object{"to": "Bob"})["room"]
	bob.gets("presence", object{"nick": "eve"})
	bob.gets("invited", object{"room": room, "from": "ann"})
	if again := bob.must("direct", object{"to": "ann"})["room"]; again != room {
		t.Errorf("bob's room with ann is %v, ann's with bob %v", again, room)
	}
	for _, verb := range []string{"join", "message", "history", "search"} {
		code := 403
		if verb == "history" {
			code = 404
		}
		eve.refused(code, verb, object{"room": room, "nick": "bob", "text": "let me in"})
	}
	ann.must("join", object{"room": room, "nick": "ann"})
	bob.must("join", object{"room": room, "nick": "bob"})
	ann.must("message", object{"room": room, "text": "psst"})
	for _, r := range eve.must("rooms", object{})["rooms"].([]any) {
		if r.(object)["room"] == room {
			t.Error("eve sees the room")
		}
	}
	h.stop()

	h = newHouse(t, path)
	bob, eve = h.enter(nil), h.enter(object{"device": "E"})
	if got := said(bob.must("join", object{"room": room, "nick": "bob", "device": "B", "since": 0})); !slices.Equal(got, []string{"psst"}) {
		t.Errorf("after the restart bob reads %q", got)
	}
	eve.refused(403, "join", object{"room": room, "nick": "bob"})
}

func TestDirectWithoutTokens(t *testing.T) {
	h := house1(t)
	ann, bob, eve := h.enter(nil), h.enter(nil), h.enter(nil)
	ann.join("lobby", "ann")
	bob.join("lobby", "bob")
	room := ann.must("direct", object{"to": "bob"})["room"]
	bob.must("join", object{"room": room, "nick": "bob"})
	eve.refused(403, "join", object{"room": room, "nick": "eve"})
	eve.refused(403, "join", object{"room": room, "nick": "bob"}) // he is there
	ann.must("join", object{"room": room, "nick": "ann"})
	_ = bob.socket.Client().Close()
	ann.gets("presence", object{"nick": "bob", "joined": true})
	for e := ann.gets("presence", object{"nick": "bob"}); e["room"] != room; {
		e = ann.gets("presence", object{"nick": "bob"})
	}
	back := h.enter(nil)
	back.must("join", object{"room": room, "nick": "bob"})
}

func TestAdministrator(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	h := newHouse(t, path)
	root, bob := h.enter(object{"admin": true}), h.enter(object{"device": "B"})
	root.join("lobby", "teacher")
	bob.join("lobby", "bob")
	bob.must("message", object{"room": "lobby", "text": "rude words"})
	root.gets("presence", nil)
	root.gets("message", object{"seq": 1})
	for _, verb := range []string{"delete", "kick", "lock"} {
		bob.refused(403, verb, object{"room": "lobby", "seq": 1, "nick": "teacher", "posting": "none"})
	}

	root.must("delete", object{"room": "lobby", "seq": 1})
	root.gets("deleted", object{"room": "lobby", "seq": 1})
	bob.gets("deleted", object{"room": "lobby", "seq": 1})
	root.refused(404, "delete", object{"room": "lobby", "seq": 1})
	if got := said(bob.must("history", object{"room": "lobby"})); len(got) != 0 {
		t.Errorf("still there: %q", got)
	}
	if got := said(bob.must("search", object{"text": "rude"})); len(got) != 0 {
		t.Errorf("still found: %q", got)
	}

	root.must("lock", object{"room": "lobby", "posting": "admin"})
	root.gets("locked", object{"room": "lobby", "posting": "admin"})
	bob.gets("locked", object{"room": "lobby", "posting": "admin"})
	bob.refused(403, "message", object{"room": "lobby", "text": "hello"})
	root.must("message", object{"room": "lobby", "text": "quiet, please"})
	root.must("lock", object{"room": "lobby", "posting": false})
	root.refused(403, "message", object{"room": "lobby", "text": "hello"})
	root.must("lock", object{"room": "lobby", "posting": true})
	root.refused(400, "lock", object{"room": "lobby", "posting": "sometimes"})

	root.must("kick", object{"room": "lobby", "nick": "BOB", "minutes": 10})
	bob.gets("message", nil)
	bob.gets("locked", nil)
	bob.gets("locked", nil)
	bob.gets("kicked", object{"room": "lobby", "nick": "BOB", "minutes": 10})
	bob.refused(403, "message", object{"room": "lobby", "text": "why?"})
	bob.refused(403, "join", object{"room": "lobby", "nick": "bob"})
	bob.refused(403, "join", object{"room": "lobby", "nick": "bobby"}) // the same device
	bob.join("kitchen", "bob")
	h.stop()

	h = newHouse(t, path)
	stranger := h.enter(nil)
	stranger.refused(403, "join", object{"room": "lobby", "nick": "bob"})
	root = h.enter(object{"admin": true})
	root.must("kick", object{"room": "lobby", "nick": "bob", "minutes": 0}) // forgiven
	stranger.join("lobby", "bob")
}

func TestRefusals(t *testing.T) {
	h := house1(t)
	ann := h.enter(nil)
	long := make([]byte, maxText+1)
	for i := range long {
		long[i] = 'x'
	}
	ann.join("lobby", "ann")
	for _, c := range []struct {
		code int
		verb string
		v    any
	}{
		{400, "join", object{"room": "", "nick": "ann"}},
		{400, "join", object{"room": "a\u202eb", "nick": "ann"}},
		{400, "join", object{"room": "lobby", "nick": "  "}},
		{400, "join", object{"room": "lobby", "nick": string(long)}},
		{400, "join", object{"room": "lobby", "nick": "ann", "since": "yesterday"}},
		{400, "join", "lobby"},
		{400, "message", object{"room": "lobby", "text": " \n"}},
		{400, "message", object{"room": "lobby", "text": 42}},
		{413, "message", object{"room": "lobby", "text": string(long)}},
		{403, "message", object{"room": "kitchen", "text": "hello"}},
		{404, "shout", object{"room": "lobby", "text": "hello"}},
	} {
		ann.refused(c.code, c.verb, c.v)
	}
}

func TestTooOften(t *testing.T) {
	h := house1(t)
	h.chat.cfg.Rate, h.chat.cfg.Burst = 0.001, 3
	ann := h.enter(nil)
	ann.join("lobby", "ann")
	for range 3 {
		ann.must("message", object{"room": "lobby", "text": "hello"})
	}
	ann.refused(429, "message", object{"room": "lobby", "text": "hello"})
}

func TestRooms(t *testing.T) {
	h := house1(t)
	ann := h.enter(nil)
	ann.join("kitchen", "ann")
	ann.must("message", object{"room": "kitchen", "text": "hello"})
	want := []any{
		object{"room": "kitchen", "members": 1.0, "last": 1.0, "posting": "all"},
		object{"room": "lobby", "members": 0.0, "last": 0.0, "posting": "all"},
	}
	if got := ann.must("rooms", object{})["rooms"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the rooms are %v", got)
	}
}
