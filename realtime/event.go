package realtime

import (
	"sync/atomic"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
)

// Value is an argument as it came: checked, and not decoded until asked for.
type Value = packet.Value

// Args are the arguments of an event or an acknowledgement.
type Args = packet.Args

// ArgumentError says that an argument of the client's does not fit.
type ArgumentError = packet.ArgumentError

// Event is an event of a client on its way through the handlers.
type Event struct {
	Socket *Socket
	Ack    Ack

	packet   *packet.Packet
	released atomic.Bool
}

// Name is the name of the event.
func (e *Event) Name() string { return e.packet.Name() }

// Args returns the arguments, without the acknowledgement.
func (e *Event) Args() Args { return e.packet.Values() }

// Len returns the number of arguments.
func (e *Event) Len() int { return len(e.packet.Args) - 1 }

// Scan decodes the first arguments; see Args.Scan.
func (e *Event) Scan(into ...any) error {
	for i, v := range into {
		if i >= e.Len() {
			return nil
		}
		if err := e.packet.Value(i).Decode(v); err != nil {
			return &ArgumentError{Index: i, Err: err}
		}
	}
	return nil
}

// Release says that nobody will use the arguments of the event any more: the
// memory of large binary data is then used for messages to come, as soon as
// the acknowledgement was written if that passes the data on. It spares the
// garbage collector most of its work with events that carry much. Nobody has
// to call it.
//
// It cannot do harm to others: a Value of the event, wherever it is, is an
// ErrReleased for who decodes or sends it from then on, and what was decoded
// into a []byte before, or sent to anybody else, is left as it is.
func (e *Event) Release() {
	if e.released.CompareAndSwap(false, true) {
		e.packet.Release()
	}
}

// ErrReleased is what comes of a Value after Event.Release.
var ErrReleased = packet.ErrReleased

// finish acknowledges with nothing, if there is no error and nobody has yet.
func (e *Event) finish(err error) error {
	if err != nil || !e.Ack.Wanted() {
		return err
	}
	return e.Ack.once()
}

// reply acknowledges with the result of a handler.
func (e *Event) reply(r any, err error) error {
	if err != nil || !e.Ack.Wanted() {
		return err
	}
	if values, ok := r.(Values); ok {
		return e.Ack.once(values...)
	}
	return e.Ack.once(r)
}

// Ack is the acknowledgement that a client may wait for. It can be sent from
// any goroutine, once.
type Ack struct {
	socket *Socket
	id     uint64
	wanted bool
	sent   atomic.Bool
}

// Wanted reports whether the client waits for it.
func (a *Ack) Wanted() bool { return a.wanted }

// Send acknowledges with values. It does nothing if the client does not wait,
// or was answered already. The error says that the values could not be
// encoded, or ErrDisconnected.
func (a *Ack) Send(values ...any) error {
	if !a.wanted {
		return nil
	}
	return a.once(values...)
}

// Fail acknowledges with an error; see Options.AckError.
func (a *Ack) Fail(err error) error {
	if !a.wanted {
		return nil
	}
	return a.once(a.socket.server().o.AckError(err))
}

func (a *Ack) once(values ...any) error {
	if !a.sent.CompareAndSwap(false, true) {
		return nil
	}
	p, err := packet.NewAck(a.socket.name, a.id, values...)
	if err != nil {
		a.sent.Store(false)
		return err
	}
	return a.socket.sendForm(form{packet: p, last: true}, adapter.Flags{})
}
