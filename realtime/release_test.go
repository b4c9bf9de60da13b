package realtime_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/packet"
)

// TestRelease has many clients use the same memory, one after the other, each
// of whom knows what it has sent.
func TestRelease(t *testing.T) {
	const clients, messages = 4, 16
	io := realtime.New(realtime.Options{})
	realtime.OnArgs(io, "echo", func(_ context.Context, e *realtime.Event) error {
		defer e.Release()
		return e.Ack.Send(e.Args().Any()...)
	})
	var mu sync.Mutex
	var kept [][]byte
	realtime.OnArgs(io, "keep", func(_ context.Context, e *realtime.Event) error {
		defer e.Release()
		var b []byte
		if err := e.Scan(&b); err != nil {
			return err
		}
		mu.Lock()
		kept = append(kept, b)
		mu.Unlock()
		return e.Ack.Send(len(b))
	})
	url := serve(t, io)
	for _, parser := range []packet.Parser{packet.JSON, packet.MessagePack} {
		for _, transport := range []string{"polling", "websocket"} {
			var all sync.WaitGroup
			for i := range clients {
				s := connected(t, url, client.Options{Transports: []string{transport}, NoUpgrade: true, Parser: parser})
				all.Go(func() { echoes(t, s, byte(i), messages) })
			}
			all.Wait()
		}
	}
	if len(kept) != 4*clients*messages/8 {
		t.Errorf("%d messages were kept", len(kept))
	}
	for _, b := range kept {
		if bytes.Count(b, b[:1]) != len(b) {
			t.Errorf("what a handler has kept has changed")
		}
	}
}

// echoes sends messages of all sizes, each of which is the same byte again and
// again.
func echoes(t *testing.T, s *client.Socket, mark byte, messages int) {
	for i := range messages {
		data := bytes.Repeat([]byte{mark}, 10<<10+rand.IntN(200<<10))
		if i%8 == 0 {
			if n, err := client.Ask[int](t.Context(), s, "keep", data); err != nil || n != len(data) {
				t.Errorf("%d of %d bytes kept, %v", n, len(data), err)
			}
			continue
		}
		back, err := client.Ask[[]byte](t.Context(), s, "echo", data)
		if err != nil || !bytes.Equal(back, data) {
			t.Errorf("of %d bytes %d came back, %v", len(data), len(back), err)
			return
		}
	}
}

// TestReleasedValues are an error for whom has kept them, and for handlers that
// come later.
func TestReleasedValues(t *testing.T) {
	io := realtime.New(realtime.Options{})
	realtime.OnArgs(io, "blob", func(_ context.Context, e *realtime.Event) error {
		args := e.Args()
		e.Release()
		e.Release() // no harm
		var b []byte
		if err := args[0].Decode(&b); !errors.Is(err, realtime.ErrReleased) {
			t.Errorf("decoded after the release: %v", err)
		}
		if err := e.Socket.Emit("blob", args[0]); !errors.Is(err, realtime.ErrReleased) {
			t.Errorf("emitted after the release: %v", err)
		}
		if err := e.Ack.Send(args[0]); !errors.Is(err, realtime.ErrReleased) {
			t.Errorf("acknowledged after the release: %v", err)
		}
		return e.Ack.Send("done")
	})
	s := connected(t, serve(t, io), client.Options{})
	if got, err := client.Ask[string](t.Context(), s, "blob", make([]byte, 64<<10)); err != nil || got != "done" {
		t.Errorf("%q, %v", got, err)
	}
}

func connected(t *testing.T, url string, o client.Options) *client.Socket {
	t.Helper()
	c, err := client.New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := c.Of("/")
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
