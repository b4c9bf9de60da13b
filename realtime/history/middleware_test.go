package history_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/history"
)

// late is a log that stores when it is told to, as a disk would.
type late struct {
	*history.Memory
	mu      sync.Mutex
	waiting []func()
	full    bool
}

func (l *late) Append(m history.Message, done func(history.Receipt, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		l.waiting = append(l.waiting, func() { done(history.Receipt{}, history.ErrFull) })
		return
	}
	l.waiting = append(l.waiting, func() { l.Memory.Append(m, done) })
}

func (l *late) store() {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}

type board struct {
	t    *testing.T
	url  string
	ns   *realtime.Namespace
	kept *history.Kept
}

func newBoard(t *testing.T, o history.Options) *board {
	t.Helper()
	io := realtime.New(realtime.Options{})
	b := &board{t: t, ns: io.Of("/board")}
	b.kept = history.Keep(t.Context(), b.ns, o)
	realtime.Handle2(b.ns, "join", func(ctx context.Context, s *realtime.Socket, room string, since history.Since) (uint64, error) {
		return b.kept.Join(ctx, s, room, since)
	})
	realtime.OnArgs(b.ns, "draw", func(_ context.Context, e *realtime.Event) error { // to the others
		return e.Socket.To("blue").Emit("drawn", e.Args().Any()...)
	})
	realtime.OnArgs(b.ns, "save", func(_ context.Context, e *realtime.Event) error { // acknowledged when stored
		b.kept.Emit("blue", []string{e.Socket.ID()}, "drawn", e.Args().Any(), func(r history.Receipt, err error) {
			if err != nil {
				_ = e.Ack.Fail(realtime.Refuse(err.Error(), nil))
				return
			}
			_ = e.Ack.Send(r.Seq)
		})
		return nil
	})
	web := httptest.NewServer(io)
	b.url = web.URL
	t.Cleanup(func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := io.Shutdown(grace); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return b
}

type pen struct {
	*client.Socket
	t   *testing.T
	got chan string
}

func (b *board) pen() *pen {
	b.t.Helper()
	cl, err := client.New(b.url, client.Options{NoReconnect: true})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = cl.Close() })
	p := &pen{Socket: cl.Of("/board"), t: b.t, got: make(chan string, 1000)}
	p.OnAny(func(_ context.Context, e *client.Event) error {
		args := make([]any, len(e.Args()))
		for i, v := range e.Args() {
			if err := v.Decode(&args[i]); err != nil {
				b.t.Error(err)
			}
		}
		p.got <- fmt.Sprint(e.Name(), args)
		return nil
	})
	if err := cl.Connect(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (p *pen) gets(want ...string) {
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

func (p *pen) getsNothing() {
	p.t.Helper()
	if _, err := client.Ask[any](p.t.Context(), p, "join", "elsewhere", nil); err != nil {
		p.t.Fatal(err)
	}
	select {
	case got := <-p.got:
		p.t.Errorf("received %q", got)
	default:
	}
}

func (p *pen) join(since any) uint64 {
	p.t.Helper()
	last, err := client.Ask[uint64](p.t.Context(), p, "join", "blue", since)
	if err != nil {
		p.t.Fatal(err)
	}
	return last
}

func TestKeep(t *testing.T) {
	b := newBoard(t, history.Options{})
	ann, bob := b.pen(), b.pen()
	ann.join(nil)
	bob.join(nil)
	if err := ann.Emit("draw", map[string]any{"x": 1}, []byte{1, 255}); err != nil {
		t.Fatal(err)
	}
	bob.gets("drawn[map[x:1] [1 255] 1]")
	if seq, err := client.Ask[int](t.Context(), ann, "save", "stored", []byte{7}); seq != 2 || err != nil {
		t.Errorf("saved as %d, %v", seq, err)
	}
	bob.gets("drawn[stored [7] 2]")
	for _, what := range []func(){
		func() { _ = b.ns.To("blue").Volatile().Emit("drawn", "volatile") },
		func() { _ = b.ns.To("blue", "red").Emit("drawn", "two rooms") },
	} {
		what()
	}
	bob.gets("drawn[volatile]", "drawn[two rooms]")
	ann.gets("drawn[volatile]", "drawn[two rooms]")

	carol := b.pen()
	if last := carol.join(0); last != 2 {
		t.Errorf("the last number is %d", last)
	}
	carol.gets("drawn[map[x:1] [1 255] 1]", "drawn[stored [7] 2]")
	dave := b.pen()
	dave.join(1)
	dave.gets("drawn[stored [7] 2]")
	eve := b.pen()
	eve.join("10m")
	eve.gets("drawn[map[x:1] [1 255] 1]", "drawn[stored [7] 2]")
	ann.getsNothing()

	type kept struct {
		Messages []struct {
			Event string
			Args  []any
			Seq   int
		}
	}
	got, err := client.Ask[kept](t.Context(), carol, "history", map[string]any{"room": "blue", "before": 2})
	if err != nil || fmt.Sprint(got) != "{[{drawn [map[x:1] [1 255]] 1}]}" {
		t.Errorf("the history is %v, %v", got, err)
	}
	if _, err := client.Ask[kept](t.Context(), b.pen(), "history", map[string]any{"room": "blue"}); err == nil {
		t.Error("somebody outside reads the room")
	}
}

func TestKeepToAll(t *testing.T) {
	b := newBoard(t, history.Options{Events: []string{"news"}})
	ann := b.pen()
	for _, event := range []string{"news", "other", "news"} {
		if err := b.ns.Emit(event, "x"); err != nil {
			t.Fatal(err)
		}
	}
	ann.gets("news[x 1]", "other[x]", "news[x 2]")
}

// TestStoredBeforeSent: nothing is seen that is not stored.
func TestStoredBeforeSent(t *testing.T) {
	log := &late{Memory: history.NewMemory(history.Retention{}, 0)}
	b := newBoard(t, history.Options{Log: log})
	ann, bob := b.pen(), b.pen()
	ann.join(nil)
	bob.join(nil)
	_ = b.ns.To("blue").Emit("drawn", "a")
	_ = b.ns.To("blue").Emit("drawn", "b")
	bob.getsNothing()
	late := b.pen() // in between
	late.join(0)
	late.getsNothing()
	log.store()
	for _, p := range []*pen{bob, late} {
		p.gets("drawn[a 1]", "drawn[b 2]")
	}
	log.full = true
	saved := make(chan error, 1)
	go func() {
		_, err := client.Ask[int](t.Context(), ann, "save", "c")
		saved <- err
	}()
	waitFor(t, func() bool { log.mu.Lock(); defer log.mu.Unlock(); return len(log.waiting) > 0 })
	log.store()
	var refusal *client.AckError
	if err := <-saved; !errors.As(err, &refusal) {
		t.Errorf("what was not stored is acknowledged with %v", err)
	}
	bob.getsNothing()
	_ = b.ns.To("blue").Emit("drawn", "d") // without a wish to know
	log.store()
	bob.gets("drawn[d]")
}

func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// TestKeeperLosesNothing lets readers begin anywhere while several write, with
// a tail in memory that is shorter than what they missed, and is given up at
// each opportunity.
func TestKeeperLosesNothing(t *testing.T) {
	const n, writers = 400, 4
	k := history.Tight(history.NewKeeper(history.NewMemory(history.Retention{}, 0), 5))
	var mu sync.Mutex
	readers := make(map[int]func(history.Message))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range n {
				k.Publish(t.Context(), history.Message{Channel: "a", Time: time.Now()}, func(m history.Message) {
					mu.Lock()
					defer mu.Unlock()
					for _, read := range readers {
						read(m)
					}
				}, func(_ history.Receipt, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	var seen [200][]uint64
	for i := range seen {
		q := history.Query{Channel: "a"}
		if i%3 == 1 {
			q.After = uint64(i)
		}
		if i%3 == 2 {
			q.Limit, q.Prefer = 3, history.Newest
		}
		err := k.Begin(t.Context(), q, func(messages []history.Message, _ uint64) {
			for _, m := range messages {
				seen[i] = append(seen[i], m.Seq)
			}
			mu.Lock()
			defer mu.Unlock()
			readers[i] = func(m history.Message) { seen[i] = append(seen[i], m.Seq) }
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	for i, got := range seen {
		if len(got) == 0 || got[len(got)-1] != n*writers {
			t.Fatalf("reader %d ends with %v", i, got[max(0, len(got)-3):])
		}
		first := got[0]
		if i%3 == 0 && first != 1 || i%3 == 1 && first > uint64(i+1) && first != 1 {
			t.Errorf("reader %d begins with %d", i, first)
		}
		for j, seq := range got {
			if seq != first+uint64(j) {
				t.Fatalf("reader %d has %d after %d", i, seq, first+uint64(j)-1)
			}
		}
	}
	k.Release("a")
	var last []uint64
	if err := k.Begin(t.Context(), history.Query{Channel: "a", After: n*writers - 2}, func(messages []history.Message, upTo uint64) {
		for _, m := range messages {
			last = append(last, m.Seq)
		}
		last = append(last, upTo)
	}); err != nil || !slices.Equal(last, []uint64{n*writers - 1, n * writers, n * writers}) {
		t.Errorf("read anew it ends with %v, %v", last, err)
	}
}
