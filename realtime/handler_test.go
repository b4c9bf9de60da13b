package realtime_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime"
)

// TestHandlersAreTakenOut: each on its own, wherever it was put.
func TestHandlersAreTakenOut(t *testing.T) {
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
	c := dialRaw(t, serve(t, io)).connect()
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

// TestDisconnectAll tells the client in each of its namespaces, and then closes
// the connection.
func TestDisconnectAll(t *testing.T) {
	io := realtime.New(realtime.Options{})
	reasons := make(chan realtime.Reason, 3)
	for _, n := range []*realtime.Namespace{io.Of("/"), io.Of("/a"), io.Of("/b")} {
		n.OnDisconnect(func(_ *realtime.Socket, why realtime.Reason) { reasons <- why })
	}
	c := dialRaw(t, serve(t, io)).connect()
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
