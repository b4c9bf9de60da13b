package history

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a [Log] that keeps messages in memory, each channel within a
// [Retention] and all channels together within a number of bytes.
type Memory struct {
	retention Retention
	total     int64
	now       func() time.Time

	order    sync.Mutex // held while done is called, so that calls are in order; before mu
	mu       sync.Mutex // guards all following
	used     int64
	channels map[string]*ring
	floor    ring // where the count of a new channel begins: above that of all that were given up
}

var _ Log = (*Memory)(nil)

// ring is a channel: a window that moves up messages.
type ring struct {
	name     string
	messages []Message // [head:] are kept
	head     int
	bytes    int64
	last     uint64
	lastTime time.Time
	unset    bool
	keys     map[string]uint64
}

// NewMemory returns an empty log. total bounds the bytes of all channels
// together; 0 is no bound. When it is reached, a channel that holds more than
// its share gives up its oldest messages. A channel that has none left is given
// up itself, and the numbers of new ones begin above its last, so that none
// goes back.
func NewMemory(r Retention, total int64) *Memory {
	return &Memory{retention: r, total: total, now: time.Now, channels: make(map[string]*ring)}
}

// Append stores m; done is called before it returns, and must not append itself.
func (l *Memory) Append(m Message, done func(Receipt, error)) {
	l.order.Lock()
	defer l.order.Unlock()
	receipt, err := l.append(m)
	if done != nil {
		done(receipt, err)
	}
}

func (l *Memory) append(m Message) (Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total > 0 && m.Size() > l.total {
		return Receipt{}, ErrFull
	}
	c := l.channels[m.Channel]
	if c == nil {
		c = &ring{name: m.Channel, last: l.floor.last, lastTime: l.floor.lastTime, unset: l.floor.unset}
		l.channels[m.Channel] = c
	}
	if first := c.byKey(m.Key); first != nil {
		return Receipt{first.Seq, first.Time, first.ClockUnset, true}, nil
	}
	c.push(&m)
	l.used += m.Size()
	l.trim(c, m.Time)
	l.makeRoom(c)
	return Receipt{m.Seq, m.Time, m.ClockUnset, false}, nil
}

// push numbers and times m and keeps it.
func (c *ring) push(m *Message) {
	if m.Seq <= c.last {
		m.Seq = c.last + 1
	}
	m.Time = Settle(m.Time, m.ClockUnset, c.lastTime, c.unset)
	c.last, c.lastTime, c.unset = m.Seq, m.Time, m.ClockUnset
	c.bytes += m.Size()
	c.messages = append(c.messages, *m)
	if m.Key != "" {
		if c.keys == nil {
			c.keys = make(map[string]uint64)
		}
		c.keys[m.Key] = m.Seq
	}
}

func (c *ring) kept() []Message { return c.messages[c.head:] }

func (c *ring) byKey(key string) *Message {
	seq, ok := c.keys[key]
	if key == "" || !ok {
		return nil
	}
	return c.bySeq(seq)
}

func (c *ring) bySeq(seq uint64) *Message {
	i, found := c.find(seq)
	if !found {
		return nil
	}
	return &c.kept()[i]
}

// find returns the index of the first message whose number is seq or more.
func (c *ring) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(c.kept(), seq, bySeq)
}

func bySeq(m Message, seq uint64) int { return cmp.Compare(m.Seq, seq) }

// drop gives up the oldest message and returns its size.
func (c *ring) drop() int64 {
	m := &c.messages[c.head]
	size := m.Size()
	c.bytes -= size
	if m.Key != "" {
		delete(c.keys, m.Key)
	}
	*m = Message{} // frees what it points to
	c.head++
	if c.head > 32 && c.head > len(c.messages)/2 {
		c.messages = slices.Delete(c.messages, 0, c.head)
		c.head = 0
	}
	return size
}

// trim gives up what is over the channel's bounds.
func (l *Memory) trim(c *ring, now time.Time) {
	r := l.retention
	for kept := c.kept(); len(kept) > 0; kept = c.kept() {
		over := r.Count > 0 && len(kept) > r.Count ||
			r.Bytes > 0 && c.bytes > r.Bytes ||
			r.Age > 0 && now.Sub(kept[0].Time) > r.Age
		if !over {
			return
		}
		l.drop(c)
	}
}

// drop gives up the oldest message of a channel, and the channel with its last.
func (l *Memory) drop(c *ring) {
	l.used -= c.drop()
	if len(c.kept()) > 0 {
		return
	}
	delete(l.channels, c.name)
	if c.last > l.floor.last {
		l.floor.last = c.last
	}
	if c.lastTime.After(l.floor.lastTime) {
		l.floor.lastTime, l.floor.unset = c.lastTime, c.unset
	}
}

// makeRoom gives up messages until all channels together are within the bound:
// those of c, which has just grown, while it holds more than its share, else
// those of a large one.
func (l *Memory) makeRoom(c *ring) {
	for l.total > 0 && l.used > l.total {
		victim := c
		if c.bytes*int64(len(l.channels)) <= l.total || len(c.kept()) == 1 {
			victim = l.largeBeside(c)
		}
		l.drop(victim)
	}
}

// largeBeside returns the largest of some channels that are not c: to look at
// all of them takes too long where there are many. There is another one.
func (l *Memory) largeBeside(c *ring) *ring {
	const some = 32
	var large *ring
	looked := 0
	for _, other := range l.channels {
		if other == c {
			continue
		}
		if large == nil || other.bytes > large.bytes {
			large = other
		}
		if looked++; looked == some {
			break
		}
	}
	return large
}

// Read returns the messages that q asks for.
func (l *Memory) Read(_ context.Context, q Query) ([]Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.channels[q.Channel]
	if c == nil {
		return nil, nil
	}
	l.trim(c, l.now())
	return q.pick(q.within(c.kept())), nil
}

// pick returns a copy of what q asks for among messages within its numbers.
func (q Query) pick(kept []Message) []Message {
	var got []Message
	var bytes int64
	for i := range kept {
		m := &kept[i]
		if q.Prefer == Newest {
			m = &kept[len(kept)-1-i]
		}
		if m.Deleted || !q.Since.IsZero() && m.Time.Before(q.Since) {
			continue
		}
		bytes += m.Size()
		if q.Limit > 0 && len(got) == q.Limit || q.Bytes > 0 && bytes > q.Bytes && len(got) > 0 {
			break
		}
		got = append(got, *m)
	}
	if q.Prefer == Newest {
		slices.Reverse(got)
	}
	return got
}

// Last returns the number of the channel's last message.
func (l *Memory) Last(_ context.Context, channel string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.channels[channel]; c != nil {
		return c.last, nil
	}
	return l.floor.last, nil
}

// Delete removes the content of a message.
func (l *Memory) Delete(_ context.Context, channel string, seq uint64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.channels[channel]
	if c == nil {
		return false, nil
	}
	m := c.bySeq(seq)
	if m == nil || m.Deleted {
		return false, nil
	}
	before := m.Size()
	m.Event, m.Data, m.Attachments, m.Deleted = "", nil, nil, true
	c.bytes -= before - m.Size()
	l.used -= before - m.Size()
	return true, nil
}

// Newest returns the last message that the channel still has, if there is one.
func (l *Memory) Newest(channel string) (Message, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.channels[channel]
	if c == nil || len(c.kept()) == 0 {
		return Message{}, false
	}
	kept := c.kept()
	return kept[len(kept)-1], true
}

// Forget gives up a channel with its count, as if it had never been.
func (l *Memory) Forget(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.channels[channel]; c != nil {
		l.used -= c.bytes
		delete(l.channels, channel)
	}
}

// Bytes returns what all channels together are counted as.
func (l *Memory) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used
}
