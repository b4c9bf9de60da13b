package bus

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime/history"
)

// Publication is what somebody publishes.
type Publication struct {
	Topic string
	Value Value
	// Retain makes it the value that later subscribers receive first.
	Retain bool
	// Persist keeps it in the durable history.
	Persist bool
	// Volatile lets receivers that are behind miss it.
	Volatile bool
}

// Receipt says how a message was numbered.
type Receipt struct {
	Seq        uint64
	Time       time.Time
	ClockUnset bool
}

// Publish passes a message to all who subscribed, at once. done is called when
// it is as durable as it asks for: before Publish returns unless it is
// persistent. Its error is a problem.Problem; where that is "not stored", the
// message was passed on nevertheless. done must not block, nor call the bus.
func (b *Bus) Publish(p Publication, done func(Receipt, error)) {
	if done == nil {
		done = func(Receipt, error) {}
	}
	if err := b.check(p); err != nil {
		done(Receipt{}, err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t, err := b.admit(p)
	if err != nil {
		done(Receipt{}, err)
		return
	}
	m := b.number(p)
	b.record(t, m)
	b.deliver(t, m)
	receipt := Receipt{m.Seq, m.Time, m.ClockUnset}
	if !p.Persist {
		done(receipt, nil)
		return
	}
	b.cfg.Log.Append(m.entry(), func(_ history.Receipt, err error) { done(receipt, refused(err)) })
}

func (b *Bus) check(p Publication) error {
	if err := CheckTopic(p.Topic); err != nil {
		return err
	}
	if p.Value.Size() > b.cfg.MaxValue {
		return problem.New(http.StatusRequestEntityTooLarge, "too_large",
			fmt.Sprintf("the value has %d bytes; %d are allowed", p.Value.Size(), b.cfg.MaxValue),
			"publish it in parts, or raise realtime.max_payload")
	}
	if depth(p.Value.JSON) > maxDepth {
		return problem.New(http.StatusBadRequest, "too_deep",
			fmt.Sprintf("arrays and objects are nested more than %d deep", maxDepth), "publish it as a string")
	}
	if p.Persist && b.cfg.Log == nil {
		return problem.New(http.StatusInsufficientStorage, "not_stored", "nothing is stored here", "publish without persist")
	}
	return nil
}

// admit returns the topic of a publication if there is room for it. b.mu is
// held.
func (b *Bus) admit(p Publication) (*topic, error) {
	t := b.topics[p.Topic]
	if p.Retain && b.retainedBytes+int64(p.Value.Size())-t.retainedSize() > b.cfg.RetainedBytes {
		return nil, problem.New(http.StatusInsufficientStorage, "retained_full",
			fmt.Sprintf("all retained values together may have %d bytes", b.cfg.RetainedBytes),
			"clear one (DELETE /api/v1/topics/…), or publish without retain")
	}
	if t == nil && len(b.topics) >= b.cfg.Topics && !b.dropQuietest() {
		return nil, problem.New(http.StatusInsufficientStorage, "too_many_topics",
			fmt.Sprintf("there are %d topics, and all retain a value", len(b.topics)), "clear some, or put several values into one")
	}
	return b.ensure(p.Topic), nil
}

func (t *topic) retainedSize() int64 {
	if t == nil || t.retained == nil {
		return 0
	}
	return int64(t.retained.Value.Size())
}

// dropQuietest forgets the topic that was quiet longest. b.mu is held.
func (b *Bus) dropQuietest() bool {
	var quietest *topic
	for _, t := range b.topics {
		if t.retained == nil && (quietest == nil || t.seq < quietest.seq) {
			quietest = t
		}
	}
	if quietest == nil {
		return false
	}
	delete(b.topics, quietest.name)
	b.history.Forget(quietest.name)
	return true
}

// number makes the message. b.mu is held.
func (b *Bus) number(p Publication) *Message {
	now, set := b.cfg.Clock()
	at := history.Settle(now, !set, b.lastTime, b.lastUnset)
	b.seq++
	b.published++
	b.lastTime, b.lastUnset = at, !set
	b.meter.count(now)
	b.reserve()
	return &Message{
		Topic: p.Topic, Value: p.Value, Seq: b.seq, Time: at, ClockUnset: !set, Retain: p.Retain, Volatile: p.Volatile,
	}
}

// record keeps the message as the topic's last. b.mu is held.
func (b *Bus) record(t *topic, m *Message) {
	b.history.Append(m.entry(), nil)
	t.last, t.seq, t.time = m, m.Seq, m.Time
	t.count++
	t.meter.count(m.Time)
	if m.Retain {
		b.retainedBytes += int64(m.Value.Size()) - t.retainedSize()
		t.retained = m
		b.keep(t)
	}
}

// Clear forgets the last value of a topic and what it retains. Its history
// stays.
func (b *Bus) Clear(topic string) error {
	if err := CheckTopic(topic); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[topic]
	if t == nil || t.last == nil {
		return noTopic(topic)
	}
	b.retainedBytes -= t.retainedSize()
	retained := t.retained != nil
	t.last, t.retained = nil, nil
	if retained {
		b.keep(t)
	}
	return nil
}

// deliver hands the message to all who have a filter that matches. b.mu is
// held, so that all see the same order; no receiver is waited for.
func (b *Bus) deliver(t *topic, m *Message) {
	if t.version != b.tree.version {
		t.matched, t.version = b.tree.match(t.matched[:0], t.name), b.tree.version
	}
	if len(t.matched) == 0 {
		return
	}
	for _, h := range b.hubs {
		h.deliver(t.matched, m)
	}
	for _, f := range t.matched {
		for s := range f.streams {
			s.push(m)
		}
	}
}

// entry is the message as a log keeps it.
func (m *Message) entry() history.Message {
	e := history.Message{Channel: m.Topic, Seq: m.Seq, Time: m.Time, ClockUnset: m.ClockUnset, Data: m.Value.JSON}
	if m.Value.JSON == nil {
		e.Attachments = [][]byte{m.Value.Bytes}
	}
	if m.Retain {
		e.Event = eventRetained
	}
	return e
}

// eventRetained marks in a log what was published to be retained.
const eventRetained = "retain"

func fromEntry(e history.Message) *Message {
	m := &Message{Topic: e.Channel, Value: Value{JSON: e.Data}, Seq: e.Seq, Time: e.Time, ClockUnset: e.ClockUnset, Retain: e.Event == eventRetained}
	if len(e.Attachments) > 0 {
		m.Value = Value{Bytes: e.Attachments[0]}
	}
	return m
}

// refused makes a refusal of what a log says.
func refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, history.ErrFull):
		return problem.New(http.StatusInsufficientStorage, "not_stored", "it was passed on, but not stored: the disk is full",
			"free some space, or raise store.max_size")
	case errors.Is(err, history.ErrBusy):
		return problem.New(http.StatusTooManyRequests, "too_often", "it was passed on, but not stored: the disk does not keep up", "publish less often")
	case errors.Is(err, history.ErrClosed):
		return problem.New(http.StatusServiceUnavailable, "ending", "it was not stored: the server ends", "try again in a moment")
	default:
		return problem.New(http.StatusInternalServerError, "not_stored", "it was passed on, but not stored", "see the log of the server")
	}
}
