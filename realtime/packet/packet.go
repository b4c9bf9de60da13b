package packet

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Type is what a packet means.
type Type uint8

// The types of Socket.IO 5. The protocol's BINARY_EVENT and BINARY_ACK are an
// Event and an Ack with attachments.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
)

// String names the type as the protocol does.
func (t Type) String() string {
	names := [...]string{"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// Packet is one packet of Socket.IO. It is not changed once it has been
// handed to a parser or an adapter, which may keep it and share it.
type Packet struct {
	Type      Type
	Namespace string // begins with "/"; "" is taken as "/"

	// ID asks for an acknowledgement (Event) or names what is acknowledged
	// (Ack). It is of no meaning unless HasID.
	ID    uint64
	HasID bool

	// Payload is the JSON text that a Connect or ConnectError carries, an
	// object or (ConnectError only) a string; nil for none.
	Payload json.RawMessage

	// Args are the JSON texts of an Event, its name first, or of an Ack.
	Args []json.RawMessage

	// Attachments are the bytes for which placeholders in Args stand.
	Attachments [][]byte

	leases []Lease // of memory in which there are attachments
}

// Release gives up the memory of the attachments, which the packet holds once:
// it is used again when no other packet holds it. The packet must not be
// encoded any more, and what is still made of its values is ErrReleased.
func (p *Packet) Release() {
	for _, l := range p.leases {
		l.Release()
	}
}

// Leased reports whether Release would give up anything.
func (p *Packet) Leased() bool { return len(p.leases) > 0 }

// hold keeps the memory of the attachments for one more.
func (p *Packet) hold() error {
	for _, l := range p.leases {
		if !l.Hold() {
			return ErrReleased // what is held by now is left to the garbage collector
		}
	}
	return nil
}

// ErrReleased says that a value was used whose memory had been given up.
var ErrReleased = errors.New("the value was released, and its bytes are no more")

// ErrInvalid is wrapped by every error about bytes that are no packet. A
// connection on which they came is to be closed with the reason "parse error".
var ErrInvalid = errors.New("invalid packet")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// roomy is a packet with room for the arguments of most, in one piece of
// memory.
type roomy struct {
	Packet
	args [3]json.RawMessage
}

// newPacket makes a packet whose Args are empty.
func newPacket(t Type, namespace string) *Packet {
	r := &roomy{Packet: Packet{Type: t, Namespace: namespace}}
	r.Args = r.args[:0]
	return &r.Packet
}

// NewEvent makes an Event packet of Go values; see [Marshal] for what becomes
// of them. The name is not checked: servers and clients refuse reserved names
// by [Reserved].
func NewEvent(namespace, name string, args ...any) (*Packet, error) {
	p := newPacket(Event, namespace)
	first := appendString(make([]byte, 0, len(name)+2), name)
	if err := p.marshal(first, args); err != nil {
		return nil, fmt.Errorf("encoding event %q: %w", name, err)
	}
	return p, nil
}

// NewAck makes an Ack packet of Go values.
func NewAck(namespace string, id uint64, args ...any) (*Packet, error) {
	p := newPacket(Ack, namespace)
	p.ID, p.HasID = id, true
	if err := p.marshal(nil, args); err != nil {
		return nil, fmt.Errorf("encoding acknowledgement: %w", err)
	}
	return p, nil
}

// Size is the number of bytes of all that the packet carries.
func (p *Packet) Size() int {
	n := len(p.Payload)
	for _, arg := range p.Args {
		n += len(arg)
	}
	for _, a := range p.Attachments {
		n += len(a)
	}
	return n
}

// Name returns the name of an Event. A number, which the protocol allows as a
// name, is given as its digits.
func (p *Packet) Name() string {
	if p.Type != Event || len(p.Args) == 0 {
		return ""
	}
	return name(p.Args[0])
}

func name(raw json.RawMessage) string {
	if plain, ok := plainString(raw); ok {
		return string(plain)
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// PlainName returns the name of an Event as it lies in the packet, so that it
// can be looked up without an allocation. It returns false for a name that has
// to be decoded first, as Name does.
func (p *Packet) PlainName() ([]byte, bool) {
	if p.Type != Event || len(p.Args) == 0 {
		return nil, false
	}
	return plainString(p.Args[0])
}

// Values returns the arguments of an Event without its name, or all of an Ack.
func (p *Packet) Values() []Value {
	args := p.Args
	if p.Type == Event && len(args) > 0 {
		args = args[1:]
	}
	values := make([]Value, len(args))
	for i, raw := range args {
		values[i] = p.value(raw)
	}
	return values
}

// Reserved reports whether a name cannot be emitted, as both ends give it a
// meaning of their own (socket.io-parser, RESERVED_EVENTS).
func Reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// validate checks what both parsers demand of a packet beyond its syntax.
func (p *Packet) validate() error {
	if p.HasID && p.Type != Event && p.Type != Ack {
		return invalid("%v with an id", p.Type)
	}
	switch p.Type {
	case Connect:
		if p.Payload != nil && p.Payload[0] != '{' {
			return invalid("the payload of CONNECT is no object")
		}
	case Disconnect:
		if p.Payload != nil {
			return invalid("DISCONNECT with a payload")
		}
	case ConnectError:
		if p.Payload != nil && p.Payload[0] != '{' && p.Payload[0] != '"' {
			return invalid("the payload of CONNECT_ERROR is neither object nor string")
		}
	case Event:
		if len(p.Args) == 0 {
			return invalid("EVENT without a name")
		}
		return validName(p.Args[0])
	case Ack:
		if !p.HasID {
			return invalid("ACK without an id")
		}
	}
	return nil
}

func validName(raw json.RawMessage) error {
	if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		return nil
	}
	if raw[0] != '"' {
		return invalid("the name of EVENT is neither string nor number")
	}
	if plain, ok := plainString(raw); ok {
		if Reserved(string(plain)) {
			return invalid("EVENT with the reserved name %q", plain)
		}
	} else if Reserved(name(raw)) {
		return invalid("EVENT with the reserved name %s", raw)
	}
	return nil
}

// Value returns the i-th argument: of an Event without counting its name.
func (p *Packet) Value(i int) Value {
	if p.Type == Event {
		i++
	}
	return p.value(p.Args[i])
}

func (p *Packet) value(raw json.RawMessage) Value {
	if len(p.Attachments) == 0 {
		return Value{raw: raw} // the packet need not be kept with it
	}
	return Value{raw: raw, from: p}
}
