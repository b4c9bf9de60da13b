package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime/history"
)

// Log keeps what is published persistently.
type Log interface {
	history.Log
	// Channels returns the topics that it has messages of.
	Channels() []string
}

// Dict keeps the retained values and the count over restarts.
type Dict interface {
	All(ctx context.Context) (map[string][]byte, error)
	// Put makes a value durable, PutLazy in a while; nil removes it.
	Put(key string, value []byte, done func(error))
	PutLazy(key string, value []byte)
}

// Config says what a bus keeps, and where. The zero value keeps everything in
// memory.
type Config struct {
	// History is how many messages a topic keeps in memory; 0 means 1000.
	History int
	// HistoryBytes bounds the history of all topics; 0 means 32 MiB.
	HistoryBytes int64
	// RetainedBytes bounds the retained values of all topics; 0 means 16 MiB.
	RetainedBytes int64
	// Topics bounds their number; 0 means 10,000. When it is reached, the topic
	// that was quiet longest goes, if it retains nothing.
	Topics int
	// MaxValue bounds one value; 0 means 1,000,000 bytes.
	MaxValue int

	// Log, Retained and State survive a restart; nil: nothing does, and a
	// persistent publish is refused.
	Log      Log
	Retained Dict // by topic
	State    Dict

	// Clock returns the time, and whether the clock was ever set; nil is
	// time.Now, set.
	Clock  func() (now time.Time, set bool)
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	setDefault(&c.History, 1000)
	setDefault(&c.HistoryBytes, 32<<20)
	setDefault(&c.RetainedBytes, 16<<20)
	setDefault(&c.Topics, 10_000)
	setDefault(&c.MaxValue, 1_000_000)
	if c.Clock == nil {
		c.Clock = func() (time.Time, bool) { return time.Now(), true }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T int | int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Bus passes messages. Its methods may be called from any goroutine.
type Bus struct {
	cfg     Config
	history *history.Memory

	mu            sync.Mutex
	seq           uint64 // of the last message
	reserved      uint64 // up to which a crash cannot make a number come again
	closed        bool
	lastTime      time.Time
	lastUnset     bool
	tree          tree
	topics        map[string]*topic
	retainedBytes int64
	hubs          []*hub
	meter         meter
	published     uint64
}

// topic is what the bus knows of a topic.
type topic struct {
	name     string
	retained *Message
	last     *Message // nil before the first one, and when it was cleared
	seq      uint64
	time     time.Time
	count    uint64
	meter    meter

	matched []*filter // by the tree of this version
	version uint64
}

// Open returns a bus with what was kept of it.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	b := &Bus{cfg: cfg.withDefaults(), topics: make(map[string]*topic)}
	b.tree.version = 1
	b.history = history.NewMemory(history.Retention{Count: b.cfg.History}, b.cfg.HistoryBytes)
	if err := b.Reload(ctx); err != nil {
		return nil, fmt.Errorf("opening the bus: %w", err)
	}
	return b, nil
}

// Reload reads what is kept anew, after a backup was restored. Numbers do not
// go back.
func (b *Bus) Reload(ctx context.Context) error {
	retained, err := b.loadRetained(ctx)
	if err != nil {
		return err
	}
	seq, err := b.loadSeq(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.topics {
		t.retained, t.last = nil, nil
		b.history.Forget(t.name) // the durable one tells what was kept
	}
	b.retainedBytes = 0
	for _, m := range retained {
		seq = max(seq, m.Seq)
		t := b.ensure(m.Topic)
		t.retained, t.last, t.seq, t.time = m, m, m.Seq, m.Time
		b.retainedBytes += int64(m.Value.Size())
	}
	if b.cfg.Log != nil {
		for _, name := range b.cfg.Log.Channels() {
			last, err := b.cfg.Log.Last(ctx, name)
			if err != nil {
				return err
			}
			seq = max(seq, last)
			t := b.ensure(name)
			t.seq = max(t.seq, last)
		}
	}
	b.seq = max(b.seq, seq)
	b.reserved = b.seq
	b.reserve()
	return nil
}

// ensure returns the topic, and makes it if there is none. b.mu is held.
func (b *Bus) ensure(name string) *topic {
	t := b.topics[name]
	if t == nil {
		t = &topic{name: name}
		b.topics[name] = t
	}
	return t
}

// block is how many numbers are reserved at a time: it costs one transaction.
const block = 8192

// reserve makes sure, in good time, that no number comes again after a crash.
// b.mu is held.
func (b *Bus) reserve() {
	if b.cfg.State == nil || !b.closed && b.seq+block/2 < b.reserved {
		return
	}
	if b.closed { // somebody was late
		b.cfg.State.PutLazy(seqKey, strconv.AppendUint(nil, b.seq, 10))
		return
	}
	b.reserved = b.seq + block
	b.cfg.State.Put(seqKey, strconv.AppendUint(nil, b.reserved, 10), nil)
}

const seqKey = "seq"

func (b *Bus) loadSeq(ctx context.Context) (uint64, error) {
	if b.cfg.State == nil {
		return 0, nil
	}
	values, err := b.cfg.State.All(ctx)
	if err != nil || values[seqKey] == nil {
		return 0, err
	}
	return strconv.ParseUint(string(values[seqKey]), 10, 64)
}

// Close keeps the count exactly. It is called before the store ends.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.reserve()
}

// Seq is the number of the last message.
func (b *Bus) Seq() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq
}

// Stats is what the bus holds and does.
type Stats struct {
	Topics        int
	Subscriptions int // different filters
	Published     uint64
	HistoryBytes  int64
	RetainedBytes int64
	Rate          float64 // messages a second, lately
}

// Stats returns the figures of now.
func (b *Bus) Stats() Stats {
	now, _ := b.cfg.Clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	return Stats{
		Topics: len(b.topics), Subscriptions: b.tree.size, Published: b.published,
		HistoryBytes: b.history.Bytes(), RetainedBytes: b.retainedBytes, Rate: b.meter.rate(now),
	}
}

// TopicInfo describes a topic.
type TopicInfo struct {
	Topic    string  `json:"topic"`
	Seq      uint64  `json:"seq"`            // of its last message
	Time     int64   `json:"time,omitempty"` // of its last message; absent: before the restart
	Count    uint64  `json:"count"`          // messages since the start
	Rate     float64 `json:"rate"`           // messages a second, lately
	Retained bool    `json:"retained"`       // it has a retained value
}

// Topics describes the topics whose names begin with prefix, in their order.
func (b *Bus) Topics(prefix string) []TopicInfo {
	now, _ := b.cfg.Clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []TopicInfo{}
	for name, t := range b.topics {
		if len(name) < len(prefix) || name[:len(prefix)] != prefix {
			continue
		}
		info := TopicInfo{Topic: name, Seq: t.seq, Count: t.count, Rate: t.meter.rate(now), Retained: t.retained != nil}
		if !t.time.IsZero() {
			info.Time = t.time.UnixMilli()
		}
		list = append(list, info)
	}
	slices.SortFunc(list, func(x, y TopicInfo) int { return cmp.Compare(x.Topic, y.Topic) })
	return list
}

// Get returns the last value of a topic: what was published last since the
// start, or retained before.
func (b *Bus) Get(topic string) (*Message, error) {
	if err := CheckTopic(topic); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[topic]; t != nil && t.last != nil {
		return t.last, nil
	}
	return nil, noTopic(topic)
}

func noTopic(topic string) error {
	return problem.New(http.StatusNotFound, "no_topic", fmt.Sprintf("the topic %q has no value", topic),
		"publish one: curl -d 21.5 http://HOST/api/v1/topics/"+topic)
}

// kept is a retained value as it is stored.
type kept struct {
	Seq    uint64          `json:"seq"`
	Time   int64           `json:"time"`
	Unset  bool            `json:"unset,omitempty"`
	Type   string          `json:"type,omitempty"`
	JSON   json.RawMessage `json:"json,omitempty"`
	Binary []byte          `json:"bytes,omitempty"`
}

// keep stores what the topic retains now, in a while. b.mu is held.
func (b *Bus) keep(t *topic) {
	switch {
	case b.cfg.Retained == nil:
		return
	case t.retained == nil:
		b.cfg.Retained.PutLazy(t.name, nil)
		return
	}
	m := t.retained
	text, err := json.Marshal(kept{m.Seq, m.Time.UnixMilli(), m.ClockUnset, m.Value.Type, m.Value.JSON, m.Value.Bytes})
	if err != nil {
		b.cfg.Logger.Error("a retained value cannot be kept", "topic", t.name, "err", err)
		return
	}
	b.cfg.Retained.PutLazy(t.name, text)
}

func (b *Bus) loadRetained(ctx context.Context) ([]*Message, error) {
	if b.cfg.Retained == nil {
		return nil, nil
	}
	values, err := b.cfg.Retained.All(ctx)
	if err != nil {
		return nil, err
	}
	messages := make([]*Message, 0, len(values))
	for topic, text := range values {
		var k kept
		if err := json.Unmarshal(text, &k); err != nil {
			b.cfg.Logger.Error("a retained value cannot be read", "topic", topic, "err", err)
			continue
		}
		value := Value{JSON: k.JSON, Bytes: k.Binary, Type: k.Type}
		messages = append(messages, &Message{
			Topic: topic, Value: value, Seq: k.Seq, Time: time.UnixMilli(k.Time), ClockUnset: k.Unset, Retain: true,
		})
	}
	return messages, nil
}
