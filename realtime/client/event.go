package client

import (
	"errors"
	"fmt"
	"sync/atomic"

	"server22.local/appliance/realtime/client/engine"
	"server22.local/appliance/realtime/packet"
)

// Value is an argument as it came: checked, and not decoded until asked for.
type Value = packet.Value

// Args are the arguments of an event or an acknowledgement.
type Args = packet.Args

// ArgumentError says that an argument of the server's does not fit.
type ArgumentError = packet.ArgumentError

// Event is an event of the server's on its way through the handlers.
type Event struct {
	Socket *Socket
	Ack    Ack

	packet *packet.Packet
}

// Name is the name of the event.
func (e *Event) Name() string { return e.packet.Name() }

// Args returns the arguments, without the acknowledgement. If the server has
// connection state recovery, the last one may be its offset.
func (e *Event) Args() Args { return e.packet.Values() }

// Len returns the number of arguments.
func (e *Event) Len() int { return len(e.packet.Args) - 1 }

// Scan decodes the first arguments; see [Args.Scan].
func (e *Event) Scan(into ...any) error { return e.Args().Scan(into...) }

// finish acknowledges with nothing, if there is no error and nobody has yet.
func (e *Event) finish(err error) error {
	if err != nil {
		return err
	}
	return e.Ack.Send()
}

// reply acknowledges with the result of a handler.
func (e *Event) reply(r any, err error) error {
	if err != nil {
		return err
	}
	if values, ok := r.(Values); ok {
		return e.Ack.Send(values...)
	}
	return e.Ack.Send(r)
}

// Ack is the acknowledgement that the server may wait for. It can be sent from
// any goroutine, once.
type Ack struct {
	socket  *Socket
	session *session // on which the event came: another one does not know the id
	id      uint64
	wanted  bool
	sent    atomic.Bool
}

// Wanted tells whether the server waits for it.
func (a *Ack) Wanted() bool { return a.wanted }

// Send acknowledges with values. It does nothing if the server does not wait,
// or was answered already. The error says that the values could not be encoded
// or are too large, after which another answer can be sent, or that the
// connection has ended.
func (a *Ack) Send(values ...any) error {
	if !a.wanted || !a.sent.CompareAndSwap(false, true) {
		return nil
	}
	p, err := packet.NewAck(a.socket.namespace, a.id, values...)
	if err == nil {
		err = a.session.sendPacket(p)
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, engine.ErrClosed) {
		a.sent.Store(false) // the server still waits, and Fail can tell it why
	}
	return fmt.Errorf("acknowledging: %w", err)
}

// Fail acknowledges with an error; see Options.AckError.
func (a *Ack) Fail(err error) error { return a.Send(a.socket.client.opts.AckError(err)) }
