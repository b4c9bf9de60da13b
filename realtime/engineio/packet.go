package engineio

import (
	"sync/atomic"

	"server22.local/appliance/realtime/engineio/internal/frame"
	"server22.local/appliance/realtime/engineio/wire"
)

// Message is one message of the application.
type Message struct {
	Data   []byte
	Binary bool
	// Owned is set on a received message whose Data the receiver may keep;
	// otherwise Data is valid only until Receiver.Message returns. It has no
	// meaning on messages that are sent.
	Owned bool
}

// flatLimit is the size up to which a message is copied into its frame. What
// is larger is written from where it lies, by a vectored write.
const flatLimit = 8 << 10

// Packet is an immutable run of messages that reach a receiver one right after
// the other, as a Socket.IO packet and its attachments must. It is encoded
// once for each kind of transport that it meets, and may be sent to any number
// of sockets at once.
type Packet struct {
	parts  []wire.Packet
	inline [1]wire.Packet
	size   int // bytes of all parts, with what a frame adds

	// The WebSocket frames of protocol version 4, in one of two forms. They
	// are made at once since nearly every packet needs them.
	flat     []byte
	segments [][]byte

	written func() // see OnWritten

	frames3  atomic.Pointer[[]byte] // WebSocket, version 3, if it differs
	deflated atomic.Pointer[[]byte] // WebSocket with permessage-deflate, version 4
	poll4    atomic.Pointer[[]byte] // payload, version 4
	poll3    atomic.Pointer[[]byte] // textual payload, version 3
}

// NewPacket makes a packet of messages. The packet owns the Data of its parts
// from then on: it must not be changed.
func NewPacket(parts ...Message) *Packet {
	p := &Packet{}
	if len(parts) == 1 {
		p.parts = p.inline[:]
	} else {
		p.parts = make([]wire.Packet, len(parts))
	}
	for i, m := range parts {
		p.parts[i] = wire.Packet{Type: wire.Message, Binary: m.Binary, Data: m.Data}
	}
	p.encode()
	return p
}

// control makes a packet of the protocol itself.
func control(t wire.Type, data string) *Packet {
	p := &Packet{}
	p.inline[0] = wire.Packet{Type: t, Data: []byte(data)}
	p.parts = p.inline[:]
	p.encode()
	return p
}

// OnWritten has fn called when the packet has been written to a WebSocket, for
// those who want the memory of its messages back. It is called before the
// packet is sent, to one socket only. fn runs on the goroutine that writes, and
// must not block; it never runs if the packet goes another way, or is lost.
func (p *Packet) OnWritten(fn func()) { p.written = fn }

// Messages returns the messages of the packet, for transports of another kind.
// Their Data must not be changed.
func (p *Packet) Messages() []Message {
	messages := make([]Message, len(p.parts))
	for i, part := range p.parts {
		messages[i] = Message{Data: part.Data, Binary: part.Binary}
	}
	return messages
}

// Size is the number of bytes that the packet takes in a send queue.
func (p *Packet) Size() int { return p.size }

func (p *Packet) encode() {
	large := false
	for _, part := range p.parts {
		p.size += len(part.Data) + frame.MaxServerHeader + 1
		large = large || len(part.Data) > flatLimit
	}
	if large {
		p.encodeSegments()
		return
	}
	p.flat = make([]byte, 0, p.size)
	for i, part := range p.parts {
		p.flat = appendHeader(p.flat, part)
		start := len(p.flat)
		p.flat = append(p.flat, part.Data...)
		p.parts[i].Data = p.flat[start:len(p.flat):len(p.flat)]
	}
}

func (p *Packet) encodeSegments() {
	p.segments = make([][]byte, 0, 2*len(p.parts))
	headers := make([]byte, 0, len(p.parts)*(frame.MaxServerHeader+1))
	for _, part := range p.parts {
		start := len(headers)
		headers = appendHeader(headers, part)
		p.segments = append(p.segments, headers[start:])
		if len(part.Data) > 0 {
			p.segments = append(p.segments, part.Data)
		}
	}
}

// appendHeader appends the frame header of version 4 and the type digit.
func appendHeader(dst []byte, part wire.Packet) []byte {
	if part.Binary {
		return frame.AppendHeader(dst, frame.Binary, len(part.Data))
	}
	dst = frame.AppendHeader(dst, frame.Text, 1+len(part.Data))
	return append(dst, part.Type.Digit())
}

// appendFrames appends the segments of the packet's WebSocket frames.
func (p *Packet) appendFrames(dst [][]byte, v wire.Version) [][]byte {
	switch {
	case v == wire.V3 && p.binary():
		return append(dst, p.cached(&p.frames3, p.encodeFrames3))
	case p.segments != nil:
		return append(dst, p.segments...)
	default:
		return append(dst, p.flat)
	}
}

func (p *Packet) binary() bool {
	for i := range p.parts {
		if p.parts[i].Binary {
			return true
		}
	}
	return false
}

// cached returns the form in slot, encoding it if it is not there yet. Two
// goroutines may encode at once; either result serves.
func (p *Packet) cached(slot *atomic.Pointer[[]byte], encode func() []byte) []byte {
	if form := slot.Load(); form != nil {
		return *form
	}
	form := encode()
	slot.Store(&form)
	return form
}

func (p *Packet) encodeFrames3() []byte {
	dst := make([]byte, 0, p.size+len(p.parts))
	for _, part := range p.parts {
		op := frame.Text
		if part.Binary {
			op = frame.Binary
		}
		dst = frame.AppendHeader(dst, op, 1+len(part.Data))
		dst = wire.AppendFrame(dst, wire.V3, part)
	}
	return dst
}

// payload4 is the packet as part of a version 4 payload.
func (p *Packet) payload4() []byte {
	if len(p.parts) == 1 && !p.parts[0].Binary && p.flat != nil {
		return p.flat[len(p.flat)-len(p.parts[0].Data)-1:]
	}
	return p.cached(&p.poll4, func() (dst []byte) {
		for _, part := range p.parts {
			dst = wire.AppendPayload4(dst, part)
		}
		return dst
	})
}

// payload3 is the packet as part of a textual version 3 payload.
func (p *Packet) payload3() []byte {
	return p.cached(&p.poll3, func() (dst []byte) {
		for _, part := range p.parts {
			dst = wire.AppendPayload3(dst, part)
		}
		return dst
	})
}

// appendBinaryPayload3 appends the packet to a binary version 3 payload.
func (p *Packet) appendBinaryPayload3(dst []byte) []byte {
	for _, part := range p.parts {
		dst = wire.AppendBinaryPayload3(dst, part)
	}
	return dst
}

// deflatedFrames are the packet's WebSocket frames where permessage-deflate
// was agreed.
func (p *Packet) deflatedFrames(v wire.Version) []byte {
	encode := func() (dst []byte) {
		for _, part := range p.parts {
			op := frame.Text
			if part.Binary {
				op = frame.Binary
			}
			data := frame.Deflate(wire.AppendFrame(nil, v, part))
			dst = append(frame.AppendDeflatedHeader(dst, op, len(data)), data...)
		}
		return dst
	}
	if v == wire.V3 && p.binary() {
		return encode() // too rare to be kept
	}
	return p.cached(&p.deflated, encode)
}
