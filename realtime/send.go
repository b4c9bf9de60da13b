package realtime

import (
	"errors"
	"log/slog"
	"sync"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
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

// Emit sends an event to the client. It does not wait: the event is in the
// queue of the connection when Emit returns. Arguments become what
// packet.Marshal makes of them; a []byte is sent as binary data and must not
// be changed afterwards. The error says that the arguments cannot be encoded,
// or ErrDisconnected, or ErrDropped if the client is too slow for its queue.
func (s *Socket) Emit(event string, args ...any) error {
	return SocketOperator{socket: s}.Emit(event, args...)
}

// SocketOperator says how to emit to one socket. It does not change: each of
// its methods returns another one. The zero value is one of a socket that is
// gone.
type SocketOperator struct {
	socket *Socket
	flags  adapter.Flags
}

// Volatile drops the event, with ErrDropped, if the connection cannot take it
// at once.
func (s *Socket) Volatile() SocketOperator { return SocketOperator{socket: s}.Volatile() }

// Uncompressed sends the event as it is where compression was agreed.
func (s *Socket) Uncompressed() SocketOperator { return SocketOperator{socket: s}.Uncompressed() }

// Volatile is like that of Socket.
func (o SocketOperator) Volatile() SocketOperator {
	o.flags.Volatile = true
	return o
}

// Uncompressed is like that of Socket.
func (o SocketOperator) Uncompressed() SocketOperator {
	o.flags.Uncompressed = true
	return o
}

// Emit is like that of Socket.
func (o SocketOperator) Emit(event string, args ...any) error {
	s := o.socket
	if s == nil || s.state.Load() == ended {
		return ErrDisconnected
	}
	p, err := s.ns.event(s, adapter.Options{Flags: o.flags}, event, args)
	if err != nil {
		return unlessHeld(err)
	}
	return s.deliver(p, o.flags)
}

// deliver sends an event to this socket alone.
func (s *Socket) deliver(p *packet.Packet, f adapter.Flags) error {
	if s.ns.recovers() && s.state.Load() == connected {
		// Through the adapter, which keeps it for the case of a recovery.
		s.ns.adapter.Broadcast(p, adapter.Options{Rooms: []string{s.id}, Flags: f})
		return nil
	}
	return s.send(p, f)
}

// send encodes and sends a packet to this socket alone.
func (s *Socket) send(p *packet.Packet, f adapter.Flags) error {
	if hook := s.server().o.Hooks.Sent; hook != nil {
		hook(s.name, 1)
	}
	forms := form{packet: p}
	return s.receive(&forms, f, nil)
}

// transmit is send for the packets about the socket itself, whatever its
// state.
func (s *Socket) transmit(p *packet.Packet) error {
	forms := form{packet: p}
	encoded, err := forms.of(s.conn)
	if err != nil {
		return err
	}
	return s.queue(encoded, adapter.Flags{}, nil)
}

// receive gives the socket a packet: at once if it is connected, when the
// client was told so if it is about to be.
func (s *Socket) receive(forms *form, f adapter.Flags, batch *engineio.Batch) error {
	if watchers := s.outgoing.all(); len(watchers) > 0 && forms.packet.Type == packet.Event {
		s.show(forms, watchers)
	}
	switch s.state.Load() {
	case connected:
	case ended:
		return ErrDisconnected
	default:
		return s.receiveEarly(forms, f)
	}
	encoded, err := forms.of(s.conn)
	if err != nil {
		return err
	}
	return s.queue(encoded, f, batch)
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

func (s *Socket) receiveEarly(forms *form, f adapter.Flags) error {
	encoded, err := forms.of(s.conn)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state.Load() {
	case connected:
		return s.queue(encoded, f, nil)
	case ended:
		return ErrDisconnected
	}
	if len(s.early) >= maxEarly {
		return ErrDropped
	}
	s.early = append(s.early, encoded)
	return nil
}

// maxEarly bounds what a middleware can emit to a socket that it holds up.
const maxEarly = 1024

func (s *Socket) queue(p *engineio.Packet, f adapter.Flags, batch *engineio.Batch) error {
	o := engineio.SendOptions{Volatile: f.Volatile, Uncompressed: f.Uncompressed, Batch: batch}
	if s.conn.link.Send(p, o) {
		return nil
	}
	if hook := s.server().o.Hooks.Dropped; hook != nil {
		hook(s)
	}
	return ErrDropped
}

// local is the namespace as its adapter sees it.
type local struct{ ns *Namespace }

var batches = sync.Pool{New: func() any { return new(engineio.Batch) }}

// Deliver implements adapter.Local: it encodes once for each parser, and
// writes when all receivers have the packet in their queues.
func (l local) Deliver(members []adapter.Member, p *packet.Packet, f adapter.Flags) {
	if len(members) == 0 {
		return
	}
	o := &l.ns.server.o
	if o.Hooks.Sent != nil {
		o.Hooks.Sent(l.ns.name, len(members))
	}
	forms := form{packet: p, offset: f.Offset}
	batch := batches.Get().(*engineio.Batch)
	for _, m := range members {
		err := m.(*Socket).receive(&forms, f, batch)
		if err != nil && p.HasID {
			l.ns.asks.settle(p.ID, m.ID(), answered{err: err})
		}
		if err != nil && err != ErrDropped && err != ErrDisconnected {
			o.Logger.Error("encoding a broadcast", slog.String("nsp", l.ns.name), slog.Any("err", err))
			break
		}
	}
	batch.Flush()
	batches.Put(batch)
}

// Describe implements adapter.Local.
func (l local) Describe(m adapter.Member) adapter.SocketInfo { return m.(*Socket).describe() }

// Disconnect implements adapter.Local.
func (l local) Disconnect(m adapter.Member, how adapter.Closing) {
	if how == adapter.CloseConnection {
		m.(*Socket).DisconnectAll()
		return
	}
	m.(*Socket).Disconnect()
}

// ServerSide implements adapter.Local.
func (l local) ServerSide(args []packet.Value, answer func([]packet.Value)) {
	l.ns.serverSide(args, answer)
}

// Expect implements adapter.Local.
func (l local) Expect(members []adapter.Member, answer func(string, []packet.Value)) (uint64, func()) {
	return l.ns.asks.forward(members, answer)
}
