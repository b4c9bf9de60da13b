package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/realtime/history"
)

func TestMain(m *testing.M) {
	if os.Getenv(writerEnv) != "" {
		os.Exit(writeUntilKilled(os.Getenv(writerEnv)))
	}
	goleak.VerifyTestMain(m)
}

// open opens a store and runs it until the returned function is called, or the
// test ends.
func open(t testing.TB, cfg Config) (*Store, func()) {
	t.Helper()
	if cfg.Logs == nil {
		cfg.Logs = map[string]LogConfig{"chat": {Text: dataText}}
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running the store: %v", err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func dataText(m history.Message) string { return string(m.Data) }

// say appends and waits.
func say(t testing.TB, l *Log, m history.Message) history.Receipt {
	t.Helper()
	r, err := try(l, m)
	if err != nil {
		t.Fatalf("appending to %s: %v", m.Channel, err)
	}
	return r
}

func try(l *Log, m history.Message) (history.Receipt, error) {
	type result struct {
		r   history.Receipt
		err error
	}
	done := make(chan result, 1)
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	l.Append(m, func(r history.Receipt, err error) { done <- result{r, err} })
	got := <-done
	return got.r, got.err
}

func texts(messages []history.Message) []string {
	got := make([]string, len(messages))
	for i, m := range messages {
		got[i] = string(m.Data)
	}
	return got
}

func readAll(t testing.TB, l *Log, q history.Query) []string {
	t.Helper()
	got, err := l.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return texts(got)
}

func TestNumbersSurviveRestart(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "store.db")}
	s, stop := open(t, cfg)
	for i := range 3 {
		if r := say(t, s.Log("chat"), history.Message{Channel: "lobby", Data: fmt.Appendf(nil, "m%d", i)}); r.Seq != uint64(i+1) {
			t.Fatalf("message %d got number %d", i, r.Seq)
		}
	}
	if _, err := s.Log("chat").Delete(t.Context(), "lobby", 3); err != nil {
		t.Fatal(err)
	}
	stop()

	s, _ = open(t, cfg)
	if r := say(t, s.Log("chat"), history.Message{Channel: "lobby", Data: []byte("m3")}); r.Seq != 4 {
		t.Errorf("after the restart the next number is %d; want 4", r.Seq)
	}
	if got := readAll(t, s.Log("chat"), history.Query{Channel: "lobby"}); !slices.Equal(got, []string{"m0", "m1", "m3"}) {
		t.Errorf("read %q", got)
	}
}

func TestAppendAfterTheEnd(t *testing.T) {
	s, stop := open(t, Config{Path: filepath.Join(t.TempDir(), "store.db")})
	stop()
	if _, err := try(s.Log("chat"), history.Message{Channel: "lobby"}); !errors.Is(err, history.ErrClosed) {
		t.Errorf("an append after the end says %v", err)
	}
}

func TestKeyIsStoredOnce(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "store.db")}
	s, stop := open(t, cfg)
	first := say(t, s.Log("chat"), history.Message{Channel: "lobby", Key: "ann/1", Data: []byte("hello")})
	say(t, s.Log("chat"), history.Message{Channel: "lobby", Data: []byte("other")})
	stop()

	s, _ = open(t, cfg)
	again := say(t, s.Log("chat"), history.Message{Channel: "lobby", Key: "ann/1", Data: []byte("hello")})
	if again.Seq != first.Seq || !again.Duplicate || again.Time.UnixMilli() != first.Time.UnixMilli() {
		t.Errorf("the retry got %+v; the first %+v", again, first)
	}
	if r := say(t, s.Log("chat"), history.Message{Channel: "kitchen", Key: "ann/1", Data: []byte("hello")}); r.Duplicate {
		t.Error("the key of one channel counts in another")
	}
	if got := readAll(t, s.Log("chat"), history.Query{Channel: "lobby"}); !slices.Equal(got, []string{"hello", "other"}) {
		t.Errorf("read %q", got)
	}
	// In one transaction, too, and after its deletion.
	if _, err := s.Log("chat").Delete(t.Context(), "lobby", first.Seq); err != nil {
		t.Fatal(err)
	}
	if r := say(t, s.Log("chat"), history.Message{Channel: "lobby", Key: "ann/1", Data: []byte("hello")}); r.Seq != first.Seq {
		t.Errorf("a retry brought a deleted message back as %d", r.Seq)
	}
}

func TestCallbacksComeInOrderAndInGroups(t *testing.T) {
	const n = 5000
	s, _ := open(t, Config{Path: filepath.Join(t.TempDir(), "store.db")})
	var wg sync.WaitGroup
	wg.Add(n)
	var last uint64
	for range n {
		s.Log("chat").Append(history.Message{Channel: "lobby", Time: time.Now(), Data: []byte("x")}, func(r history.Receipt, err error) {
			defer wg.Done()
			if err != nil || r.Seq != last+1 {
				t.Errorf("after %d came %d, %v", last, r.Seq, err)
			}
			last = r.Seq
		})
	}
	wg.Wait()
	if commits := s.Stats().Commits; commits > n/20 {
		t.Errorf("%d messages at once took %d transactions", n, commits)
	}
}

func TestQueries(t *testing.T) {
	logs := map[string]history.Log{"memory": history.NewMemory(history.Retention{}, 0)}
	s, _ := open(t, Config{Path: filepath.Join(t.TempDir(), "store.db")})
	logs["store"] = s.Log("chat")
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, log := range logs {
		t.Run(name, func(t *testing.T) {
			for i := range 10 {
				done := make(chan error, 1)
				log.Append(history.Message{Channel: "a", Time: noon.Add(time.Duration(i) * time.Minute), Data: []byte{'0' + byte(i)}},
					func(_ history.Receipt, err error) { done <- err })
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []struct {
				query history.Query
				want  string
			}{
				{history.Query{}, "0123456789"},
				{history.Query{Limit: 3}, "012"},
				{history.Query{Limit: 3, Prefer: history.Newest}, "789"},
				{history.Query{After: 5}, "56789"},
				{history.Query{After: 5, Limit: 2}, "56"},
				{history.Query{Before: 5}, "0123"},
				{history.Query{Before: 5, Limit: 2, Prefer: history.Newest}, "23"},
				{history.Query{After: 2, Before: 6}, "234"},
				{history.Query{After: 10}, ""},
				{history.Query{Since: noon.Add(7 * time.Minute)}, "789"},
				{history.Query{Since: noon.Add(time.Hour)}, ""},
				{history.Query{Since: noon.Add(-time.Hour), Limit: 1}, "0"},
				{history.Query{Bytes: 1}, "0"},
				{history.Query{Bytes: 400}, "01"},
				{history.Query{Bytes: 400, Prefer: history.Newest}, "89"},
			} {
				c.query.Channel = "a"
				got, err := log.Read(t.Context(), c.query)
				if err != nil || strings.Join(texts(got), "") != c.want {
					t.Errorf("%+v gives %q, %v; want %q", c.query, texts(got), err, c.want)
				}
			}
			if got, err := log.Read(t.Context(), history.Query{Channel: "nobody"}); err != nil || len(got) != 0 {
				t.Errorf("an unknown channel has %v, %v", got, err)
			}
			if last, err := log.Last(t.Context(), "a"); last != 10 || err != nil {
				t.Errorf("the last number is %d, %v", last, err)
			}
		})
	}
}

func TestContentComesBackAsItWas(t *testing.T) {
	s, _ := open(t, Config{Path: filepath.Join(t.TempDir(), "store.db")})
	want := history.Message{
		Channel: "a", Seq: 7, Time: time.UnixMilli(1767225600123), ClockUnset: true, Key: "k", Event: "draw",
		Data: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2, 0}, {}, []byte("x")},
	}
	say(t, s.Log("chat"), want)
	got, err := s.Log("chat").Read(t.Context(), history.Query{Channel: "a"})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	g := got[0]
	same := g.Seq == want.Seq && g.Time.Equal(want.Time) && g.ClockUnset && g.Key == want.Key && g.Event == want.Event &&
		bytes.Equal(g.Data, want.Data) && slices.EqualFunc(g.Attachments, want.Attachments, bytes.Equal)
	if !same {
		t.Errorf("stored %+v, read %+v", want, g)
	}
	if r := say(t, s.Log("chat"), history.Message{Channel: "a", Seq: 5}); r.Seq != 8 {
		t.Errorf("a number that was passed gave %d; want 8", r.Seq)
	}
}

func TestSearch(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "store.db")}
	s, stop := open(t, cfg)
	chat := s.Log("chat")
	for _, text := range []string{"The café is open", "see 192.168.1.40", `a "quoted" word`, "the Café closes", "nothing"} {
		say(t, chat, history.Message{Channel: "lobby", Data: []byte(text)})
	}
	say(t, chat, history.Message{Channel: "secret", Data: []byte("the café again")})
	check := func(text string, want ...string) {
		t.Helper()
		got, err := s.Log("chat").Search(t.Context(), []string{"lobby", "nowhere"}, text, 10)
		if err != nil || !slices.Equal(texts(got), want) {
			t.Errorf("searching %q: %q, %v; want %q", text, texts(got), err, want)
		}
	}
	check("cafe", "The café is open", "the Café closes")
	check("CAF", "The café is open", "the Café closes")
	check("cafe closes", "the Café closes")
	check("192.168.1.40", "see 192.168.1.40")
	check(`"quoted`, `a "quoted" word`)
	check(`AND OR NOT * ( " - ^`)
	check("  ")
	if _, err := chat.Delete(t.Context(), "lobby", 1); err != nil {
		t.Fatal(err)
	}
	check("cafe", "the Café closes")
	say(t, chat, history.Message{Channel: "lobby", Data: []byte("cafe, too")})
	stop()

	s, _ = open(t, cfg) // what was not in the index yet
	check("cafe", "the Café closes", "cafe, too")
}

func TestDict(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "store.db"), LazyAfter: time.Hour}
	s, stop := open(t, cfg)
	d := s.Dict("retained")
	if err := d.PutWait(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	before := s.Stats().Commits
	for i := range 1000 {
		d.PutLazy("b", fmt.Appendf(nil, "%d", i))
	}
	d.PutLazy("a", nil)
	if got := s.Stats().Commits; got != before {
		t.Errorf("lazy values took %d transactions", got-before)
	}
	want := func() {
		t.Helper()
		got, err := s.Dict("retained").All(t.Context())
		if err != nil || len(got) != 1 || string(got["b"]) != "999" {
			t.Errorf("the values are %q, %v", got, err)
		}
	}
	want()
	stop()
	s, _ = open(t, cfg)
	want()
}

func TestLazyValuesAreWrittenInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, _ := open(t, Config{Path: path, LazyAfter: time.Millisecond, LazyEvery: time.Millisecond})
	before := s.Stats().Commits
	s.Dict("retained").PutLazy("a", []byte("1"))
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Commits == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a lazy value was never written")
		}
	}
}

func TestRetention(t *testing.T) {
	s, stop := open(t, Config{Path: filepath.Join(t.TempDir(), "store.db"), Logs: map[string]LogConfig{
		"chat": {Retention: history.Retention{Count: 100}, Text: dataText},
		"old":  {Retention: history.Retention{Age: time.Hour}},
		"fat":  {Retention: history.Retention{Bytes: 10_000}},
	}})
	for i := range 3 * settleMost {
		done := func(_ history.Receipt, err error) {
			if err != nil {
				t.Error(err)
			}
		}
		s.Log("chat").Append(history.Message{Channel: "a", Time: time.Now(), Key: fmt.Sprint(i), Data: []byte("word")}, done)
		s.Log("fat").Append(history.Message{Channel: "a", Time: time.Now(), Data: make([]byte, 100)}, done)
	}
	say(t, s.Log("old"), history.Message{Channel: "a", Time: time.Now().Add(-2 * time.Hour), Data: []byte("yesterday")})
	for range settleMost {
		s.Log("old").Append(history.Message{Channel: "a", Time: time.Now(), Data: []byte("today")}, nil)
	}
	for range 2 { // when the second is stored, what follows from the first is done
		say(t, s.Log("chat"), history.Message{Channel: "a", Data: []byte("word")})
	}
	if got := len(readAll(t, s.Log("chat"), history.Query{Channel: "a"})); got < 100 || got > 100+settleMost {
		t.Errorf("%d messages are kept; want about 100", got)
	}
	if got := len(readAll(t, s.Log("fat"), history.Query{Channel: "a"})); got > 51+settleMost {
		t.Errorf("%d messages of 200 bytes are kept; want about 10 kB", got)
	}
	if got := readAll(t, s.Log("old"), history.Query{Channel: "a", Limit: 1}); !slices.Equal(got, []string{"today"}) {
		t.Errorf("the oldest message is %q", got)
	}
	found, err := s.Log("chat").Search(t.Context(), []string{"a"}, "word", 10_000)
	if err != nil || len(found) > 100+settleMost {
		t.Errorf("the index finds %d messages, %v", len(found), err)
	}
	stop()
}

func TestSizeIsKept(t *testing.T) {
	const limit = 8 << 20
	path := filepath.Join(t.TempDir(), "store.db")
	s, _ := open(t, Config{Path: path, MaxSize: limit, Logs: map[string]LogConfig{"chat": {Text: dataText}, "bus": {}}})
	// A little chat, then a sensor that would fill the disk.
	for i := range 200 {
		say(t, s.Log("chat"), history.Message{Channel: "lobby", Data: fmt.Appendf(nil, "we said %d", i)})
	}
	payload := make([]byte, 1000)
	tickets := make(chan struct{}, 500)
	for i := range 15_000 {
		tickets <- struct{}{}
		s.Log("bus").Append(history.Message{Channel: "lab/temp", Time: time.Now(), Data: payload}, func(_ history.Receipt, err error) {
			if err != nil {
				t.Error(err)
			}
			<-tickets
		})
		if i%1000 == 0 {
			if got := s.Stats().Bytes; got > limit {
				t.Fatalf("after %d values the store takes %d bytes; it may take %d", i, got, limit)
			}
		}
	}
	last := say(t, s.Log("bus"), history.Message{Channel: "lab/temp", Data: payload})
	if last.Seq != 15_001 {
		t.Errorf("the last value has number %d", last.Seq)
	}
	if got := s.Stats(); got.Bytes > limit || got.Refused > 0 {
		t.Errorf("in the end %+v", got)
	}
	if got := len(readAll(t, s.Log("chat"), history.Query{Channel: "lobby"})); got != 200 {
		t.Errorf("the sensor pushed the chat out: %d of 200 messages are left", got)
	}
}

func TestBusy(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "store.db"), MaxWaiting: 1000, Logs: map[string]LogConfig{"chat": {}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var refused int
	for range 10 { // nothing runs, nothing is taken
		s.Log("chat").Append(history.Message{Channel: "a", Data: make([]byte, 200)}, func(_ history.Receipt, err error) {
			if errors.Is(err, history.ErrBusy) {
				refused++
			}
		})
	}
	if refused != 8 {
		t.Errorf("%d of 10 appends were refused; want 8", refused)
	}
}
