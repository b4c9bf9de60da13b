package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/internal/store"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newBus returns a bus on the store in a folder.
func newBus(t testing.TB, path string, cfg Config) (*Bus, *store.Store, func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: path, Logs: map[string]store.LogConfig{"bus": {}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stored := make(chan error, 1)
	go func() { stored <- s.Run(ctx) }()
	cfg.Log, cfg.Retained, cfg.State = s.Log("bus"), s.Dict("retained"), s.Dict("bus")
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		b.Close()
		cancel()
		if err := <-stored; err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	t.Cleanup(stop)
	return b, s, stop
}

func memoryBus(t testing.TB, cfg Config) *Bus {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func publish(t testing.TB, b *Bus, p Publication) Receipt {
	t.Helper()
	type result struct {
		r   Receipt
		err error
	}
	done := make(chan result, 1)
	b.Publish(p, func(r Receipt, err error) { done <- result{r, err} })
	got := <-done
	if got.err != nil {
		t.Fatalf("publishing to %q: %v", p.Topic, got.err)
	}
	return got.r
}

func put(t testing.TB, b *Bus, topic, body string) Receipt {
	t.Helper()
	return publish(t, b, Publication{Topic: topic, Value: ParseValue([]byte(body))})
}

func bodies(messages []*Message) []string {
	got := []string{}
	for _, m := range messages {
		got = append(got, string(m.Value.Raw()))
	}
	return got
}

func TestRetainedAndCountSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	b, _, stop := newBus(t, path, Config{})
	for i := range 10 {
		publish(t, b, Publication{Topic: "lab/temp", Value: ParseValue(fmt.Appendf(nil, "%d", i)), Retain: true})
	}
	publish(t, b, Publication{Topic: "lab/picture", Value: Value{Bytes: []byte{0, 255}, Type: "image/png"}, Retain: true})
	publish(t, b, Publication{Topic: "gone", Value: Text("x"), Retain: true})
	if err := b.Clear("gone"); err != nil {
		t.Fatal(err)
	}
	last := publish(t, b, Publication{Topic: "log", Value: Text("kept"), Persist: true})
	stop()

	b, _, _ = newBus(t, path, Config{})
	m, err := b.Get("lab/temp")
	if err != nil || string(m.Value.JSON) != "9" || m.Seq != 10 {
		t.Errorf("after the restart the value is %v, %v", m, err)
	}
	m, err = b.Get("lab/picture")
	if err != nil || string(m.Value.Bytes) != "\x00\xff" || m.Value.Type != "image/png" {
		t.Errorf("after the restart the picture is %v, %v", m, err)
	}
	if _, err := b.Get("gone"); status(err) != 404 {
		t.Errorf("what was cleared says %v", err)
	}
	if got, err := b.History(t.Context(), "log", history.Since{}, 0); err != nil || !slices.Equal(bodies(got), []string{"kept"}) {
		t.Errorf("the durable history is %q, %v", bodies(got), err)
	}
	if r := put(t, b, "next", "1"); r.Seq != last.Seq+1 {
		t.Errorf("after the restart comes %d; before it was %d", r.Seq, last.Seq)
	}
}

// After a backup was restored, what is retained is what was when it was made.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	b, s, _ := newBus(t, filepath.Join(dir, "store.db"), Config{})
	retain := func(topic, body string) {
		publish(t, b, Publication{Topic: topic, Value: ParseValue([]byte(body)), Retain: true})
	}
	retain("lab/temp", "1")
	backup := filepath.Join(dir, "backup")
	if err := s.Backup(t.Context(), backup, nil); err != nil {
		t.Fatal(err)
	}
	retain("lab/temp", "2")
	retain("later", "3")
	if _, err := s.Restore(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := b.Get("lab/temp"); err != nil || string(m.Value.JSON) != "1" {
		t.Errorf("the value of the backup is %v, %v", m, err)
	}
	if m, err := b.Get("later"); status(err) != 404 {
		t.Errorf("what came after the backup is %v, %v", m, err)
	}
	for _, topic := range []string{"lab/temp", "later"} {
		if past, err := b.History(t.Context(), topic, history.Since{}, 0); err != nil || len(past) > 0 {
			t.Errorf("the history of %s has %q of after the backup, %v", topic, bodies(past), err)
		}
	}
	put(t, b, "later", "4")
	if past, err := b.History(t.Context(), "later", history.Since{}, 0); err != nil || !slices.Equal(bodies(past), []string{"4"}) {
		t.Errorf("the history goes on with %q, %v", bodies(past), err)
	}
}

// TestCountAfterCrash looks at the store as a crash would leave it.
func TestCountAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	b, s, _ := newBus(t, path, Config{})
	var last Receipt
	for range 3 * block {
		last = put(t, b, "lab/temp", "1")
	}
	publish(t, b, Publication{Topic: "log", Value: Text("x"), Persist: true}) // all before it is durable
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Backup(t.Context(), copied, nil); err != nil {
		t.Fatal(err)
	}
	after, _, _ := newBus(t, copied, Config{})
	if r := put(t, after, "lab/temp", "1"); r.Seq <= last.Seq {
		t.Errorf("after the crash comes %d; %d was seen", r.Seq, last.Seq)
	}
}

func status(err error) int {
	if p, ok := errors.AsType[problem.Problem](err); ok {
		return p.Status
	}
	return 0
}

func TestHistory(t *testing.T) {
	b, _, _ := newBus(t, filepath.Join(t.TempDir(), "store.db"), Config{History: 5})
	for i := range 10 {
		publish(t, b, Publication{Topic: "a/1", Value: ParseValue(fmt.Appendf(nil, "%d", i)), Persist: i < 3})
		put(t, b, "a/2", fmt.Sprintf(`"x%d"`, i))
	}
	for _, c := range []struct {
		filter string
		since  history.Since
		limit  int
		want   string
	}{
		{"a/1", history.Since{}, 0, "0 1 2 5 6 7 8 9"},
		{"a/1", history.Since{}, 2, "8 9"},
		{"a/1", history.Since{Seq: 3}, 0, "2 5 6 7 8 9"},
		{"a/1", history.Since{Seq: 19}, 0, ""},
		{"a/1", history.Since{Back: time.Hour}, 3, "7 8 9"},
		{"a/+", history.Since{Seq: 16}, 0, "8 x8 9 x9"},
		{"b/+", history.Since{}, 0, ""},
	} {
		got, err := b.History(t.Context(), c.filter, c.since, c.limit)
		if err != nil || strings.Join(bodies(got), " ") != c.want {
			t.Errorf("%q since %+v: %q, %v; want %q", c.filter, c.since, bodies(got), err, c.want)
		}
	}
	if _, err := b.History(t.Context(), "nothing", history.Since{}, 0); status(err) != 404 {
		t.Errorf("an unknown topic says %v", err)
	}
}

func TestStream(t *testing.T) {
	b := memoryBus(t, Config{})
	publish(t, b, Publication{Topic: "a", Value: Text("retained"), Retain: true})
	put(t, b, "a", "before")
	s := b.NewStream(0)
	defer s.Close()
	if err := s.Subscribe(t.Context(), []string{"a", "+", "#"}, history.Since{}); err != nil {
		t.Fatal(err)
	}
	put(t, b, "a", "after")
	put(t, b, "b", "other")
	if got, err := s.Next(t.Context()); err != nil || strings.Join(bodies(got), " ") != "retained after other" {
		t.Errorf("the stream has %q, %v", bodies(got), err)
	}
	s.Unsubscribe([]string{"#", "+"})
	put(t, b, "b", "unseen")
	put(t, b, "a", "seen")
	if got, err := s.Next(t.Context()); err != nil || strings.Join(bodies(got), " ") != "seen" {
		t.Errorf("the stream has %q, %v", bodies(got), err)
	}
	s.Close()
	if _, err := s.Next(t.Context()); !errors.Is(err, ErrStreamClosed) {
		t.Errorf("a closed stream says %v", err)
	}
	if got := b.Stats().Subscriptions; got != 0 {
		t.Errorf("%d subscriptions are left", got)
	}

	back := b.NewStream(0)
	defer back.Close()
	if err := back.Subscribe(t.Context(), []string{"#"}, history.Since{Given: true, Seq: 2}); err != nil {
		t.Fatal(err)
	}
	if got, err := back.Next(t.Context()); err != nil || strings.Join(bodies(got), " ") != "after other unseen seen" {
		t.Errorf("the stream missed %q, %v", bodies(got), err)
	}
}

func TestSlowStream(t *testing.T) {
	b := memoryBus(t, Config{})
	s := b.NewStream(1000)
	defer s.Close()
	if err := s.Subscribe(t.Context(), []string{"#"}, history.Since{}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		publish(t, b, Publication{Topic: "a", Value: Text("volatile"), Volatile: true})
	}
	got, err := s.Next(t.Context())
	if err != nil || len(got) == 0 || len(got) > 20 {
		t.Errorf("of the volatile messages %d came, %v", len(got), err)
	}
	for range 100 {
		put(t, b, "a", "not volatile")
	}
	if got, err = s.Next(t.Context()); err != nil || len(got) > 20 {
		t.Errorf("of the others %d came, %v", len(got), err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, ErrSlow) {
		t.Errorf("a slow stream ends with %v", err)
	}
}

func TestBounds(t *testing.T) {
	b := memoryBus(t, Config{Topics: 10, RetainedBytes: 50, MaxValue: 20, HistoryBytes: 10_000})
	refused := func(want int, p Publication) {
		t.Helper()
		b.Publish(p, func(_ Receipt, err error) {
			if status(err) != want {
				t.Errorf("publishing %d bytes to %q: %v; want %d", p.Value.Size(), p.Topic, err, want)
			}
		})
	}
	refused(413, Publication{Topic: "a", Value: Text(strings.Repeat("x", 19))})
	refused(400, Publication{Topic: "a/+", Value: Text("x")})
	refused(400, Publication{Topic: "", Value: Text("x")})
	refused(507, Publication{Topic: "a", Value: Text("x"), Persist: true})
	for i := range 1000 {
		put(t, b, fmt.Sprintf("topic/%d", i), "1")
	}
	if got := b.Stats(); got.Topics != 10 || got.HistoryBytes > 10_000 {
		t.Errorf("there are %+v", got)
	}
	for i := range 3 {
		publish(t, b, Publication{Topic: fmt.Sprint("r", i), Value: Text("fourteen chars"), Retain: true})
	}
	refused(507, Publication{Topic: "r4", Value: Text("x"), Retain: true})
	publish(t, b, Publication{Topic: "r2", Value: Text("x"), Retain: true}) // it takes the place of a larger one
	if err := b.Clear("r0"); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		publish(t, b, Publication{Topic: fmt.Sprint("s", i), Value: ParseValue([]byte("1")), Retain: true})
	}
	refused(507, Publication{Topic: "one/too/many", Value: Text("x")})
}

func TestRates(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := memoryBus(t, Config{Clock: func() (time.Time, bool) { return now, true }})
	for range 2000 {
		now = now.Add(10 * time.Millisecond)
		put(t, b, "a", "1")
	}
	if got := b.Topics("")[0]; got.Rate < 95 || got.Rate > 105 || got.Count != 2000 {
		t.Errorf("100 values a second look like %+v", got)
	}
	now = now.Add(time.Minute)
	if got := b.Stats().Rate; got > 0.01 {
		t.Errorf("a minute later the rate is %f", got)
	}
}

func TestUnsetClock(t *testing.T) {
	now, set := time.Unix(100, 0), false
	b := memoryBus(t, Config{Clock: func() (time.Time, bool) { return now, set }})
	var times []int64
	var lines []string
	step := func() {
		r := put(t, b, "a", "1")
		times = append(times, r.Time.Unix())
		m, err := b.Get("a")
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(strings.Contains(string(m.JSON()), `"clock":false`)))
	}
	step()
	now = time.Unix(90, 0) // it drifts
	step()
	now, set = time.Unix(1_800_000_000, 0), true // and is set
	step()
	now = now.Add(-time.Second)
	step()
	if fmt.Sprint(times) != "[100 100 1800000000 1800000000]" || fmt.Sprint(lines) != "[true true false false]" {
		t.Errorf("the times are %v, unset: %v", times, lines)
	}
}

// serve puts a bus behind Socket.IO.
func serve(t *testing.T, b *Bus, limits Limits) string {
	t.Helper()
	io := realtime.New(realtime.Options{AckError: problem.Ack})
	b.Serve(io.Of("/bus"), limits)
	b.Serve(io.Of("/"), limits)
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

type object = map[string]any

type user struct {
	t      *testing.T
	socket *client.Socket
	got    chan object
}

func dial(t *testing.T, url string) *user {
	t.Helper()
	u := &user{t: t, got: make(chan object, 10_000)}
	host, namespace, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	cl, err := client.New("http://"+host, client.Options{NoReconnect: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close() })
	u.socket = cl.Of("/" + namespace)
	client.On(u.socket, "message", func(_ context.Context, _ *client.Socket, m object) error {
		u.got <- m
		return nil
	})
	if err := cl.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return u
}

func (u *user) ask(verb string, v any) (object, int) {
	u.t.Helper()
	got, err := client.Ask[object](u.t.Context(), u.socket, verb, v)
	if e, ok := errors.AsType[*client.AckError](err); ok {
		var refusal struct{ Code int }
		if err := json.Unmarshal(e.Data, &refusal); err != nil {
			u.t.Fatal(err)
		}
		return nil, refusal.Code
	}
	if err != nil {
		u.t.Fatalf("%s %v: %v", verb, v, err)
	}
	return got, 0
}

func (u *user) must(verb string, v any) object {
	u.t.Helper()
	got, code := u.ask(verb, v)
	if code != 0 {
		u.t.Fatalf("%s %v was refused with %d", verb, v, code)
	}
	return got
}

func (u *user) next() object {
	u.t.Helper()
	select {
	case m := <-u.got:
		return m
	case <-time.After(5 * time.Second):
		u.t.Fatal("no message came")
		return nil
	}
}

func TestVerbs(t *testing.T) {
	b, _, _ := newBus(t, filepath.Join(t.TempDir(), "store.db"), Config{})
	url := serve(t, b, Limits{})
	for _, namespace := range []string{"/bus", "/"} {
		t.Run(namespace, func(t *testing.T) {
			sub, pub := dial(t, url+namespace), dial(t, url+"/bus")
			top := "verbs" + strings.ReplaceAll(namespace, "/", "-") + "-"
			if got := sub.must("subscribe", object{"topics": []string{top + "/+", top + "/#"}}); fmt.Sprint(got) != "map[retained:[]]" {
				t.Errorf("subscribed to %v", got)
			}
			receipt := pub.must("publish", object{"topic": top + "/temp", "data": object{"c": 21.5}, "retain": true})
			m := sub.next()
			if m["topic"] != top+"/temp" || fmt.Sprint(m["data"]) != "map[c:21.5]" || m["seq"] != receipt["seq"] || m["retain"] != true || m["time"] != receipt["time"] {
				t.Errorf("received %v after %v", m, receipt)
			}
			pub.must("publish", object{"topic": top + "/raw", "data": []byte{0, 1, 255}, "persist": true})
			if m := sub.next(); fmt.Sprint(m["data"]) != "[0 1 255]" {
				t.Errorf("received %v", m)
			}
			if got := sub.must("get", object{"topic": top + "/raw"}); fmt.Sprint(got["data"]) != "[0 1 255]" {
				t.Errorf("got %v", got)
			}
			if got := pub.must("subscribe", object{"topics": top + "/temp"})["retained"].([]any); len(got) != 1 || fmt.Sprint(got[0].(object)["data"]) != "map[c:21.5]" {
				t.Errorf("retained: %v", got)
			}
			if got := sub.must("topics", object{"prefix": top})["topics"].([]any); len(got) != 2 || got[1].(object)["topic"] != top+"/temp" || got[1].(object)["retained"] != true {
				t.Errorf("the topics are %v", got)
			}
			if got := sub.must("history", object{"topic": top + "/#", "limit": 1})["messages"].([]any); len(got) != 1 || got[0].(object)["topic"] != top+"/raw" {
				t.Errorf("the history is %v", got)
			}
			sub.must("unsubscribe", object{"topics": []string{top + "/+", top + "/#", "never"}})
			pub.must("publish", object{"topic": top + "/temp", "data": "unseen"})
			if m := pub.next(); m["data"] != "unseen" {
				t.Errorf("the publisher, subscribed, received %v", m)
			}
			sub.must("clear", object{"topic": top + "/temp"})
			if _, code := sub.ask("get", object{"topic": top + "/temp"}); code != 404 {
				t.Errorf("what was cleared gives %d", code)
			}
			select {
			case m := <-sub.got:
				t.Errorf("after unsubscribing came %v", m)
			default:
			}
		})
	}
}

func TestRefusedVerbs(t *testing.T) {
	b := memoryBus(t, Config{MaxValue: 1000})
	deep := json.RawMessage(strings.Repeat("[", 101) + strings.Repeat("]", 101))
	u := dial(t, serve(t, b, Limits{Rate: 0.001, Burst: 9})+"/bus")
	for _, c := range []struct {
		code int
		verb string
		v    any
	}{
		{400, "subscribe", object{}},
		{400, "subscribe", object{"topics": []string{"a/#/b"}}},
		{400, "subscribe", object{"topics": 5}},
		{400, "publish", object{"topic": "a/#", "data": 1}},
		{400, "publish", object{"topic": "a", "data": object{"nested": []byte{1}}}},
		{400, "publish", object{"topic": "a", "data": deep}},
		{413, "publish", object{"topic": "a", "data": strings.Repeat("x", 1001)}},
		{507, "publish", object{"topic": "a", "data": 1, "persist": true}},
		{404, "get", object{"topic": "nothing"}},
		{404, "clear", object{"topic": "nothing"}},
		{404, "history", object{"topic": "nothing"}},
		{0, "publish", object{"topic": "a", "data": 1}},
		{0, "publish", object{"topic": "a", "data": 1}},
		{0, "publish", object{"topic": "a", "data": 1}},
		{0, "publish", object{"topic": "a", "data": 1}},
		{429, "publish", object{"topic": "a", "data": 1}},
	} {
		if _, code := u.ask(c.verb, c.v); code != c.code {
			t.Errorf("%s %v gives %d; want %d", c.verb, c.v, code, c.code)
		}
	}
}

// TestResume subscribes again and again while somebody publishes, each time
// with the last number seen.
func TestResume(t *testing.T) {
	const n = 1500
	b, _, _ := newBus(t, filepath.Join(t.TempDir(), "store.db"), Config{})
	url := serve(t, b, Limits{})
	go func() {
		for i := range n {
			put(t, b, fmt.Sprint("a/", i%3), fmt.Sprint(i))
			time.Sleep(100 * time.Microsecond)
		}
	}()
	seen := 0
	for seen < n {
		u := dial(t, url+"/bus")
		u.must("subscribe", object{"topics": []string{"a/+"}, "since": seen})
		for range 100 {
			if seen == n {
				break
			}
			if seq := int(u.next()["seq"].(float64)); seq != seen+1 {
				t.Fatalf("after %d came %d", seen, seq)
			}
			seen++
		}
		_ = u.socket.Client().Close()
	}
}
