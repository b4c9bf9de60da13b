package realtime

import (
	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

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
	if s.state.Load() == connected && s.pid != "" {
		// Through the adapter, which keeps it for the case of a recovery.
		s.ns.adapter.Broadcast(p, adapter.Options{Rooms: []string{s.id}, Flags: f})
		return nil
	}
	return s.send(p, f)
}

// send encodes and sends a packet to this socket alone.
func (s *Socket) send(p *packet.Packet, f adapter.Flags) error {
	return s.sendForm(form{packet: p}, f)
}

func (s *Socket) sendForm(forms form, f adapter.Flags) error {
	if hook := s.server().o.Hooks.Sent; hook != nil {
		hook(s.name, 1)
	}
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
		if s.recovered { // it would never know what it has missed: it is to come again
			s.conn.link.Close(ReasonForcedServer)
		}
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
