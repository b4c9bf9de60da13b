package client_test

import (
	"context"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/packet"
)

func TestRecovery(t *testing.T) {
	everywhere(t, setup{recovery: true}, map[string]func(*testing.T, world){
		"missed events": testMissedEvents,
		"nothing":       testNothingMissed,
		"goodbye":       testNotRecovered,
	})
}

// skipHalfOpen leaves out what the official server cannot do: it recovers no
// session whose connection it believes alive, as it does for a while when a
// client is gone between two polls. Ours takes such a session over.
func skipHalfOpen(t *testing.T, w world) {
	t.Helper()
	if w.name == "node" && w.transports[0] == client.Polling {
		t.Skip("Node may still believe the lost connection alive")
	}
}

// A socket that comes back in time has its id, its rooms, and what it missed,
// once.
func testMissedEvents(t *testing.T, w world) {
	skipHalfOpen(t, w)
	s := w.socket(t, "/chat")
	other := world{w.backend, w.transports, new(cable)}.socket(t, "/chat")
	said := make(chan string, 100)
	client.On(s, "said", func(_ context.Context, _ *client.Socket, text string) error { said <- text; return nil })
	why, room := reasons(s), t.Name()
	ask[any](t, s, "join", room)
	emit(t, other, "say", room, "one")
	if got := next(t, said); got != "one" {
		t.Fatalf("heard %q", got)
	}
	id := s.ID()
	for round := range 2 { // more than once: not every server can
		w.net.cut()
		next(t, why)
		emit(t, other, "say", room, "two")
		emit(t, other, "say", room, "three")
		ask[int](t, other, "ask", 1)
		w.net.mend()
		for _, want := range []string{"two", "three"} {
			if got := next(t, said); got != want {
				t.Fatalf("round %d: heard %q, want %q", round, got, want)
			}
		}
		if err := s.WaitConnected(soon(t)); err != nil || !s.Recovered() || s.ID() != id || !ask[bool](t, s, "recovered") {
			t.Fatalf("round %d: recovered %v, id %q after %q, %v", round, s.Recovered(), s.ID(), id, err)
		}
	}
	emit(t, other, "say", room, "four")
	if got := next(t, said); got != "four" {
		t.Errorf("heard %q rather than what was said last", got)
	}
}

func testNothingMissed(t *testing.T, w world) {
	skipHalfOpen(t, w)
	s := w.socket(t, "/")
	why := reasons(s)
	echo := make(chan int, 1)
	client.On(s, "echo", func(_ context.Context, _ *client.Socket, n int) error { echo <- n; return nil })
	emit(t, s, "echo", 1)
	next(t, echo)
	id := s.ID()
	w.net.cut()
	next(t, why)
	w.net.mend()
	if err := s.WaitConnected(soon(t)); err != nil || !s.Recovered() || s.ID() != id {
		t.Errorf("recovered %v, id %q after %q, %v", s.Recovered(), s.ID(), id, err)
	}
}

// Who says goodbye comes back as somebody else.
func testNotRecovered(t *testing.T, w world) {
	s := w.socket(t, "/chat")
	echo := make(chan int, 1)
	client.On(s, "echo", func(_ context.Context, _ *client.Socket, n int) error { echo <- n; return nil })
	emit(t, s, "echo", 1)
	next(t, echo)
	id := s.ID()
	s.Disconnect()
	s.Connect()
	if err := s.WaitConnected(soon(t)); err != nil || s.Recovered() || s.ID() == id {
		t.Errorf("recovered %v, id %q after %q, %v", s.Recovered(), s.ID(), id, err)
	}
}

// The server crashes in the middle, twice, and comes back after a while. What
// was emitted before, meanwhile and afterwards is stored once and in order.
func TestRestart(t *testing.T) {
	for _, b := range backends {
		for _, transport := range transports {
			t.Run(b.name+"/"+transport.name, func(t *testing.T) {
				t.Parallel()
				want := setup{parser: packet.JSON, file: filepath.Join(t.TempDir(), "stored")}
				server := b.start(t, want)
				u, err := url.Parse(server.url)
				if err != nil {
					t.Fatal(err)
				}
				want.port = u.Port()
				w := world{server, transport.list, new(cable)}
				o := w.options()
				o.Retries, o.AckTimeout = 1000, 15*time.Millisecond
				c := w.client(t, o)
				s := c.Of("/")
				connect(t, c)
				list := ids(t, 40)
				for i, id := range list {
					if i == 10 || i == 25 {
						if _, err := client.Ask[int](soon(t), s, "store", id); err != nil {
							t.Fatal(err)
						}
						server.crash(t)
					}
					emit(t, s, "store", id)
					if i == 20 || i == 35 {
						server = b.start(t, want)
					}
				}
				if _, err := client.Ask[int](soon(t), s, "store", "last"); err != nil {
					t.Fatal(err)
				}
				if got := ask[[]string](t, w.socket(t, "/"), "stored"); !slices.Equal(got, append(list, "last")) {
					t.Errorf("stored %q", got)
				}
			})
		}
	}
}
