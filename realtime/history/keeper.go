package history

import (
	"context"
	"slices"
	"sync"
)

// Keeper delivers what a [Log] has stored, and lets receivers begin at any
// point of a channel: they get what was delivered before, and then what
// follows, with nothing lost and nothing twice between the two.
//
// It keeps the ends of channels in memory, so that those who come, or come back
// after a moment, do not ask the Log: of as many channels as some megabytes
// hold, however many there are.
//
// The lock of a channel is held while deliver and attach are called; they may
// emit, which does not block, and must not call the Keeper.
type Keeper struct {
	log  Log
	tail int
	most int64 // bound of size

	mu       sync.Mutex // guards all following; taken before that of a channel
	channels map[string]*channel
	size     int64 // of them all
}

// channel is one that is in memory.
type channel struct {
	mu        sync.Mutex // guards all following but the last two
	loaded    bool
	delivered uint64    // the number of the last message that was delivered
	tail      []Message // the last of them, oldest first
	bytes     int64     // of the tail
	whole     bool      // nothing that is kept came before the tail

	// Guarded by Keeper.mu.
	waiting int   // who is at work with it
	size    int64 // of it, as far as those who are done have told
}

// DefaultTail is how many messages of a channel a Keeper has in memory.
const DefaultTail = 200

// What a Keeper has in memory, as Message.Size counts: of one channel, and of
// all together. A channel itself is counted as channelSize.
const (
	maxTail     = 2 << 20
	maxTails    = 32 << 20
	channelSize = 512
)

// NewKeeper returns a Keeper for a Log. All that is appended to channels that
// it delivers goes through it. tail is how many messages of each channel are
// in memory; 0 means DefaultTail.
func NewKeeper(log Log, tail int) *Keeper {
	if tail == 0 {
		tail = DefaultTail
	}
	return &Keeper{log: log, tail: tail, most: maxTails, channels: make(map[string]*channel)}
}

// Log returns the log beneath.
func (k *Keeper) Log() Log { return k.log }

// hold returns the channel of a name to work with.
func (k *Keeper) hold(name string) *channel {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.channels[name]
	if c == nil {
		c = &channel{size: channelSize}
		k.channels[name] = c
		k.size += c.size
	}
	c.waiting++
	return c
}

// drop says that the work with a channel is done, by which it has grown.
func (k *Keeper) drop(c *channel, grown int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.waiting--
	c.size += grown
	k.size += grown
	for name := range k.channels {
		if k.size <= k.most {
			return
		}
		k.release(name)
	}
}

// Publish stores m, and when that is durable calls deliver, once and in the
// order of the numbers, and then done. For a message that was there already
// (see Message.Key) and one that could not be stored only done is called.
// Neither may block.
func (k *Keeper) Publish(ctx context.Context, m Message, deliver func(Message), done func(Receipt, error)) {
	c := k.hold(m.Channel)
	grown, err := k.load(ctx, m.Channel, c)
	if err != nil {
		k.drop(c, 0)
		done(Receipt{}, err)
		return
	}
	k.log.Append(m, func(r Receipt, err error) {
		if err == nil && !r.Duplicate {
			m.Seq, m.Time = r.Seq, r.Time
			grown += c.deliver(m, k.tail, deliver)
		}
		k.drop(c, grown)
		done(r, err)
	})
}

// deliver returns by how much the channel has grown.
func (c *channel) deliver(m Message, most int, deliver func(Message)) (grown int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivered = m.Seq
	if len(c.tail) >= 2*most { // seldom, so that it costs little
		grown -= c.shorten(len(c.tail) - most)
	}
	c.tail = append(c.tail, m)
	c.bytes += m.Size()
	grown += m.Size()
	if c.bytes > maxTail {
		grown -= c.shorten(len(c.tail) / 2)
	}
	deliver(m)
	return grown
}

// shorten gives up the first n messages of the tail, and returns their size.
func (c *channel) shorten(n int) (size int64) {
	for i := range c.tail[:n] {
		size += c.tail[i].Size()
	}
	c.tail = slices.Delete(c.tail, 0, n)
	c.bytes -= size
	c.whole = false
	return size
}

// load reads the end of a channel that was not in memory, and returns by how
// much that has grown.
func (k *Keeper) load(ctx context.Context, name string, c *channel) (grown int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded {
		return 0, nil
	}
	last, err := k.log.Last(ctx, name)
	if err != nil {
		return 0, err
	}
	tail, err := k.log.Read(ctx, Query{Channel: name, Before: last + 1, Limit: k.tail, Prefer: Newest})
	if err != nil {
		return 0, err
	}
	before := c.bytes
	c.delivered, c.tail, c.bytes, c.whole, c.loaded = last, tail, 0, len(tail) < k.tail, true
	for i := range tail {
		c.bytes += tail[i].Size()
	}
	for c.bytes > maxTail {
		c.shorten((len(c.tail) + 1) / 2)
	}
	return c.bytes - before, nil
}

// Begin calls attach with the messages that q asks for, of those that were
// delivered. What attach registers gets every message after that, from
// Publish, and none before.
func (k *Keeper) Begin(ctx context.Context, q Query, attach func(messages []Message, last uint64)) error {
	c := k.hold(q.Channel)
	grown, err := k.load(ctx, q.Channel, c)
	defer k.drop(c, grown)
	if err != nil {
		return err
	}
	for {
		upTo, done := c.fromTail(q, attach)
		if done {
			return nil
		}
		older := q
		if older.Before == 0 || older.Before > upTo+1 {
			older.Before = upTo + 1
		}
		messages, err := k.log.Read(ctx, older)
		if err != nil {
			return err
		}
		if c.afterRead(q, messages, upTo, attach) {
			return nil
		}
	}
}

// fromTail answers from memory, if that is enough; else it returns the number
// up to which the log is to be asked.
func (c *channel) fromTail(q Query, attach func([]Message, uint64)) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.covers(q) {
		return c.delivered, false
	}
	attach(q.pick(q.within(c.tail)), c.delivered)
	return 0, true
}

// afterRead adds what was delivered while the log was read. It fails if that
// is not in memory any more.
func (c *channel) afterRead(q Query, messages []Message, upTo uint64, attach func([]Message, uint64)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := Query{After: upTo, Before: q.Before}
	if !c.covers(since) && c.delivered > upTo {
		return false
	}
	q.Before = 0
	attach(q.pick(append(messages, since.within(c.tail)...)), c.delivered)
	return true
}

// covers reports whether the tail has all that q asks for.
func (c *channel) covers(q Query) bool {
	if c.whole {
		return true
	}
	if len(c.tail) == 0 {
		return false
	}
	if q.After > 0 {
		return c.tail[0].Seq <= q.After+1
	}
	return q.Prefer == Newest && q.Limit > 0 && len(q.within(c.tail)) >= q.Limit
}

// within returns the messages between the query's numbers.
func (q Query) within(messages []Message) []Message {
	from, _ := slices.BinarySearchFunc(messages, q.After+1, bySeq)
	to := len(messages)
	if q.Before > 0 {
		to, _ = slices.BinarySearchFunc(messages, q.Before, bySeq)
	}
	return messages[min(from, to):to]
}

// Delete removes the content of a message.
func (k *Keeper) Delete(ctx context.Context, name string, seq uint64) (bool, error) {
	found, err := k.log.Delete(ctx, name, seq)
	if err != nil || !found {
		return found, err
	}
	k.mu.Lock()
	c := k.channels[name]
	if c != nil {
		c.waiting++
	}
	k.mu.Unlock()
	if c != nil {
		k.drop(c, -c.remove(seq))
	}
	return true, nil
}

// remove takes a message out of the tail, and returns its size.
func (c *channel) remove(seq uint64) (size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tail = slices.DeleteFunc(c.tail, func(m Message) bool {
		if m.Seq == seq {
			size += m.Size()
		}
		return m.Seq == seq
	})
	c.bytes -= size
	return size
}

// Release frees the memory of a channel that nobody uses, unless an append to
// it is under way.
func (k *Keeper) Release(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.release(name)
}

// release is Release with k.mu held.
func (k *Keeper) release(name string) {
	if c := k.channels[name]; c != nil && c.waiting == 0 {
		delete(k.channels, name)
		k.size -= c.size
	}
}

// Reload forgets what is in memory, when the log has got another content.
func (k *Keeper) Reload() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.channels {
		c.mu.Lock()
		c.loaded, c.tail = false, nil
		c.mu.Unlock()
	}
}
