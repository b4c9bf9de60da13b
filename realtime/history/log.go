package history

import (
	"context"
	"errors"
	"time"
)

// ErrFull is the error of an append for which there is no room: the disk is
// full, or the log's own bound is reached and nothing could be given up for it.
// The message was not stored.
var ErrFull = errors.New("not stored: no space left")

// ErrClosed is the error of an append to a log that has ended. The message was
// not stored.
var ErrClosed = errors.New("not stored: the log is closed")

// ErrBusy is the error of an append while so much waits to be stored that
// taking more would cost memory without bound. The message was not stored; try
// again later.
var ErrBusy = errors.New("not stored: too much is waiting")

// Message is one message kept in a channel.
type Message struct {
	// Channel is what the message was sent to: a room or a topic.
	Channel string
	// Seq numbers the messages of a channel; it grows and never goes back,
	// whatever is deleted. An append with 0 gets the channel's next number; an
	// append with another keeps it if it is above the channel's last, and gets
	// the next number if it is not.
	Seq uint64
	// Time is when the message came, with a resolution of milliseconds. A
	// channel's times do not go back (see [Log.Append]).
	Time time.Time
	// ClockUnset says that Time was read from a clock that nobody had set.
	ClockUnset bool
	// Key makes an append repeatable: while a message with the same Key is in
	// the channel, another append of it stores nothing and gets the number of
	// the first. Empty means that the message has none.
	Key string
	// Event is the name of the event, where the channel has several kinds.
	Event string
	// Data is the message's content; for an event its arguments as a JSON array.
	Data []byte
	// Attachments are the binary parts that Data's placeholders point to.
	Attachments [][]byte
	// Deleted marks a message whose content was removed. Its number and Key
	// stay, so that nobody's count is upset and no retry brings it back.
	Deleted bool
}

// overhead is what a message costs beside its content, in bytes: an estimate
// that keeps a flood of empty messages from being free.
const overhead = 192

// Size is what the message is counted as against a bound in bytes.
func (m *Message) Size() int64 {
	n := overhead + len(m.Key) + len(m.Event) + len(m.Data)
	for _, a := range m.Attachments {
		n += len(a)
	}
	return int64(n)
}

// Receipt says what became of an append.
type Receipt struct {
	Seq        uint64
	Time       time.Time
	ClockUnset bool
	// Duplicate says that a message with the same Key was there already, and
	// that the receipt is that message's.
	Duplicate bool
}

// Query asks for the messages of one channel.
type Query struct {
	Channel string
	// After and Before bound the numbers; both are exclusive, and 0 is no bound.
	After, Before uint64
	// Since leaves out what is older. The zero time is no bound.
	Since time.Time
	// Limit bounds the number of messages; 0 is no bound.
	Limit int
	// Bytes bounds their size; 0 is no bound. At least one message is returned
	// if there is any.
	Bytes int64
	// Prefer says which messages to give where Limit or Bytes leave some out.
	Prefer Side
}

// Side is one end of a channel.
type Side int

const (
	// Oldest is the end at which one resumes.
	Oldest Side = iota
	// Newest is the end at which one begins to read.
	Newest
)

// Log keeps messages by channel.
type Log interface {
	// Append stores m and returns at once. done is called exactly once, when m
	// is as durable as the Log makes it, or with the error for which it is not.
	// For one channel the calls come in the order of the numbers. done must not
	// block: other messages wait behind it. It may be nil, and it may be called
	// before Append returns.
	//
	// A Time before that of the channel's last message is moved up to it, so
	// that time does not go back, unless that was read from an unset clock and
	// this one was not, or they are more than an hour apart: then the clock was
	// wrong, and keeping its time would only spread the error.
	Append(m Message, done func(Receipt, error))

	// Read returns the messages that q asks for, oldest first, without the
	// deleted ones.
	Read(ctx context.Context, q Query) ([]Message, error)

	// Last returns the number of the channel's last message, also if that was
	// deleted or given up since; 0 means that there never was one.
	Last(ctx context.Context, channel string) (uint64, error)

	// Delete removes the content of a message. It reports whether there was one.
	Delete(ctx context.Context, channel string, seq uint64) (bool, error)
}

// Retention bounds what a log keeps. The zero value of a field is no bound.
// What is over a bound is given up, oldest first.
type Retention struct {
	Count int           // messages a channel
	Age   time.Duration // of a message
	Bytes int64         // a channel, as Message.Size counts
}

// steady is how far a clock may step back without being taken for wrong.
const steady = time.Hour

// Settle returns the time that a message gets in a channel whose last message
// has the time last: it does not go back, as [Log.Append] says.
func Settle(now time.Time, nowUnset bool, last time.Time, lastUnset bool) time.Time {
	back := last.Sub(now)
	if back <= 0 || lastUnset && !nowUnset {
		return now
	}
	if back > steady && !nowUnset {
		return now
	}
	return last
}
