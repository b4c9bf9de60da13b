package realtime

import (
	"errors"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
)

// Outgoing is an event on its way to clients, as middlewares see it: before
// it is encoded for connections and sent.
type Outgoing struct {
	Namespace *Namespace
	Socket    *Socket  // the one receiver, or nil for a broadcast
	Rooms     []string // of a broadcast; none means all sockets
	Except    []string
	Volatile  bool

	packet *packet.Packet
	flags  adapter.Flags
	held   bool
}

// Hold keeps the event back: the Emit that it comes from returns no error, and
// nothing is sent, nor seen by later middlewares, until somebody calls send.
// That may be later and from another goroutine, as when the event is stored
// first. Events that ask for acknowledgements cannot be held: those fail.
func (o *Outgoing) Hold() (send func() error) {
	o.held = true
	return func() error {
		if o.Socket != nil {
			return o.Socket.deliver(o.packet, o.flags)
		}
		o.Namespace.adapter.Broadcast(o.packet, adapter.Options{Rooms: o.Rooms, Except: o.Except, Flags: o.flags})
		return nil
	}
}

// errHeld is what an event ends with that a middleware holds.
var errHeld = errors.New("event held back by a middleware")

// unlessHeld is the error of an Emit.
func unlessHeld(err error) error {
	if errors.Is(err, errHeld) {
		return nil
	}
	return err
}

// Event is the name of the event.
func (o *Outgoing) Event() string { return o.packet.Name() }

// Args returns the arguments.
func (o *Outgoing) Args() Args { return o.packet.Values() }

// Append adds an argument after the others.
func (o *Outgoing) Append(arg any) error {
	v, err := packet.NewValue(arg)
	if err != nil {
		return err
	}
	again, err := packet.NewEvent(o.packet.Namespace, o.Event(), append(o.Args().Any(), v)...)
	if err != nil {
		return err
	}
	o.packet.Args, o.packet.Attachments = again.Args, again.Attachments
	return nil
}

// event makes the packet of an event and asks the middlewares about it.
func (n *Namespace) event(to *Socket, o adapter.Options, name string, args []any) (*packet.Packet, error) {
	if packet.Reserved(name) {
		return nil, ErrReserved
	}
	p, err := packet.NewEvent(n.name, name, args...)
	if err != nil {
		return nil, err
	}
	for w := range n.wirings {
		for _, fn := range w.outgoing.all() {
			out := Outgoing{Namespace: n, Socket: to, Rooms: o.Rooms, Except: o.Except, Volatile: o.Flags.Volatile, packet: p, flags: o.Flags}
			if err := (*fn)(&out); err != nil {
				return nil, err
			}
			if out.held {
				return nil, errHeld
			}
		}
	}
	return p, nil
}

// OnAnyOutgoing has fn see every event that goes to this socket, broadcasts
// included, before it is sent, until remove is called. Whoever emits calls it,
// so several may at once, and it must neither block nor emit. To see an event
// once, whatever the number of its receivers, there is Namespace.OnAnyOutgoing.
func (s *Socket) OnAnyOutgoing(fn func(s *Socket, event string, args Args)) (remove func()) {
	if fn == nil {
		return func() {}
	}
	return s.outgoing.add(fn)
}

func (s *Socket) show(forms *form, watchers []*func(*Socket, string, Args)) {
	p := forms.event()
	for _, fn := range watchers {
		(*fn)(s, p.Name(), p.Values())
	}
}
