package history

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
)

// Options say what [Keep] keeps.
type Options struct {
	// Log is where. nil means in memory, 1000 messages a room, 16 MiB in all.
	Log Log
	// Events are the names of the events to keep. None means all.
	Events []string
	// Ask is the name of the event with which clients ask for what was kept:
	// {room, since?, before?, limit?}, acknowledged with {messages: [{event,
	// args, seq, time}]}, of rooms that they are in. "" means "history", "-"
	// that they cannot.
	Ask string
	// Clock returns the time, and whether it was ever set; nil is time.Now.
	Clock func() (now time.Time, set bool)
	// Logger hears of what could not be kept; nil discards it.
	Logger *slog.Logger
}

// Kept is a namespace whose events are kept.
type Kept struct {
	ctx    context.Context // bounds reading the log where an Emit has no context of its own
	ns     *realtime.Namespace
	keeper *Keeper
	o      Options
}

// Keep has a namespace keep what is emitted to a room, or to all of its
// sockets: each such event is stored first and then sent, in the order of
// storing, with its number as last argument. Volatile events, those to several
// rooms at once, those to one socket, and those that ask for acknowledgements
// pass as they are. What cannot be stored is sent without a number.
//
// It is called before the server serves; ctx is to live as long as that. Emit
// returns before the event is stored; [Kept.Emit] tells when it is. The room
// that a socket has by its id is one like others: what is emitted to it is
// kept, while what [realtime.Socket.Emit] sends is not.
func Keep(ctx context.Context, ns *realtime.Namespace, o Options) *Kept {
	if o.Log == nil {
		o.Log = NewMemory(Retention{Count: 1000}, 16<<20)
	}
	if o.Ask == "" {
		o.Ask = "history"
	}
	if o.Clock == nil {
		o.Clock = func() (time.Time, bool) { return time.Now(), true }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Kept{ctx: ctx, ns: ns, keeper: NewKeeper(o.Log, 0), o: o}
	ns.UseOutgoing(k.outgoing)
	if o.Ask != "-" {
		realtime.Handle(ns, o.Ask, k.ask)
	}
	return k
}

// all is the channel of what goes to all sockets of a namespace.
const all = ""

func (k *Kept) outgoing(out *realtime.Outgoing) error {
	if out.Socket != nil || out.Volatile || len(out.Rooms) > 1 || !k.keeps(out.Event()) {
		return nil
	}
	room := all
	if len(out.Rooms) == 1 {
		room = out.Rooms[0]
	}
	m, err := k.message(room, out.Event(), out.Args())
	if err != nil {
		return err
	}
	k.publish(m, out.Hold(), out.Append, nil)
	return nil
}

func (k *Kept) keeps(event string) bool {
	return len(k.o.Events) == 0 || slices.Contains(k.o.Events, event)
}

// publish stores an event that is held, and sends it.
func (k *Kept) publish(m Message, send func() error, number func(any) error, done func(Receipt, error)) {
	deliver := func(m Message) {
		err := number(m.Seq)
		if err == nil {
			err = send()
		}
		if err != nil {
			k.o.Logger.Error("sending what was kept", "nsp", k.ns.Name(), "room", m.Channel, "err", err)
		}
	}
	k.keeper.Publish(k.ctx, m, deliver, func(r Receipt, err error) {
		if err != nil && done == nil {
			k.o.Logger.Error("an event was not kept", "nsp", k.ns.Name(), "room", m.Channel, "err", err)
			_ = send() // better without a number than not at all
			return
		}
		if done != nil {
			done(r, err)
		}
	})
}

// Emit stores an event, sends it to a room, but not to those in the rooms that
// are left out, such as the sender's id, and then calls done, which must not
// block. What cannot be stored is not sent. Other middlewares do not see it.
func (k *Kept) Emit(room string, except []string, event string, args []any, done func(Receipt, error)) {
	if done == nil {
		done = func(Receipt, error) {}
	}
	p, err := packet.NewEvent(k.ns.Name(), event, args...)
	var m Message
	if err == nil {
		m, err = k.message(room, event, p.Values())
	}
	if err != nil {
		done(Receipt{}, err)
		return
	}
	number := func(seq any) (err error) {
		p, err = packet.NewEvent(k.ns.Name(), event, append(realtime.Args(p.Values()).Any(), seq)...)
		return err
	}
	send := func() error {
		o := adapter.Options{Except: except}
		if room != all {
			o.Rooms = []string{room}
		}
		k.ns.Adapter().Broadcast(p, o)
		return nil
	}
	k.publish(m, send, number, done)
}

// Join sends a socket what a room was sent since then, and puts it into the
// room: it gets everything, and everything once. It returns the number of the
// room's last event.
func (k *Kept) Join(ctx context.Context, s *realtime.Socket, room string, since Since) (last uint64, err error) {
	now, _ := k.o.Clock()
	q := since.Query(room, now)
	q.Limit, q.Bytes, q.Prefer = mostAsked, mostBytes, Newest
	if !since.Given {
		q.Limit = 1 // the last number is all that is wanted
	}
	err = k.keeper.Begin(ctx, q, func(missed []Message, upTo uint64) {
		last = upTo
		if !since.Given {
			missed = nil
		}
		for _, m := range missed {
			args := append(k.args(m).Any(), m.Seq)
			_ = s.Emit(m.Event, args...) // it may be gone already
		}
		s.Join(room)
	})
	return last, err
}

// Bounds of what is given back at once.
const (
	mostAsked = 1000
	mostBytes = 128 << 10
)

type question struct {
	Room   string `json:"room"`
	Since  Since  `json:"since"`
	Before uint64 `json:"before"`
	Limit  int    `json:"limit"`
}

type answer struct {
	Messages []event `json:"messages"`
}

type event struct {
	Event string           `json:"event"`
	Args  []realtime.Value `json:"args"`
	Seq   uint64           `json:"seq"`
	Time  int64            `json:"time"` // ms since 1970 UTC
	Clock *bool            `json:"clock,omitempty"`
}

func (k *Kept) ask(ctx context.Context, s *realtime.Socket, q question) (answer, error) {
	if q.Room != all && !slices.Contains(s.Rooms(), q.Room) {
		return answer{}, realtime.Refuse("you are not in that room", nil)
	}
	now, _ := k.o.Clock()
	query := q.Since.Query(q.Room, now)
	query.Before, query.Limit, query.Bytes, query.Prefer = q.Before, mostAsked, mostBytes, Newest
	if q.Limit > 0 {
		query.Limit = min(q.Limit, mostAsked)
	}
	got := answer{Messages: []event{}}
	err := k.keeper.Begin(ctx, query, func(messages []Message, _ uint64) {
		for _, m := range messages {
			e := event{m.Event, k.args(m), m.Seq, m.Time.UnixMilli(), nil}
			if m.ClockUnset {
				e.Clock = new(bool)
			}
			got.Messages = append(got.Messages, e)
		}
	})
	return got, err
}

// message is an event as a log keeps it.
func (k *Kept) message(room, event string, args realtime.Args) (Message, error) {
	raw, attachments, err := packet.Marshal(args.Any()...)
	if err != nil {
		return Message{}, err
	}
	if raw == nil {
		raw = []json.RawMessage{}
	}
	data, err := json.Marshal(raw)
	now, set := k.o.Clock()
	return Message{Channel: room, Time: now, ClockUnset: !set, Event: event, Data: data, Attachments: attachments}, err
}

// args are the arguments of a kept event, with their bytes.
func (k *Kept) args(m Message) realtime.Args {
	raw := []json.RawMessage{nil} // where the name stands
	var rest []json.RawMessage
	if err := json.Unmarshal(m.Data, &rest); err != nil {
		k.o.Logger.Error("a kept event cannot be read", "room", m.Channel, "seq", m.Seq, "err", err)
	}
	p := packet.Packet{Type: packet.Event, Args: append(raw, rest...), Attachments: m.Attachments}
	return p.Values()
}
