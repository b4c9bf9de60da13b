package realtime

import (
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// form is an encoded packet in all forms in which it was needed. It belongs to
// one goroutine.
type form struct {
	packet  *packet.Packet
	offset  bool // the last argument is one, for those who can recover
	last    bool // nobody needs the packet when it was written
	encoded [maxCodecs]*engineio.Packet
}

// The first codecs are the parsers of the server; then come those of clients
// that cannot choose.
const (
	maxCodecs   = 5
	plainCodec  = maxCodecs - 2
	legacyCodec = maxCodecs - 1
)

func (c *conn) parser() packet.Parser {
	switch c.codec {
	case plainCodec:
		return packet.Plain
	case legacyCodec:
		return packet.JSON
	}
	return c.server.o.Parsers[c.codec]
}

// recovers reports whether the client knows of recovery.
func (c *conn) recovers() bool { return !c.legacy && !c.plain }

// event is the packet without the offset.
func (f *form) event() *packet.Packet {
	if !f.offset {
		return f.packet
	}
	p := *f.packet
	p.Args = p.Args[:len(p.Args)-1]
	return &p
}

// of returns the packet as the clients of a connection read it.
func (f *form) of(c *conn) (*engineio.Packet, error) {
	if p := f.encoded[c.codec]; p != nil {
		return p, nil
	}
	p := f.packet
	if !c.recovers() {
		p = f.event()
	}
	var buffer [1]packet.Frame
	frames, err := c.parser().Encode(buffer[:0], p)
	if err != nil {
		return nil, err
	}
	encoded := toEngine(frames)
	if f.last && p.Leased() {
		encoded.OnWritten(p.Release)
	}
	f.encoded[c.codec] = encoded
	return encoded, nil
}

func toEngine(frames []packet.Frame) *engineio.Packet {
	if len(frames) == 1 {
		return engineio.NewPacket(engineio.Message{Data: frames[0].Data, Binary: frames[0].Binary})
	}
	messages := make([]engineio.Message, len(frames))
	for i, f := range frames {
		messages[i] = engineio.Message{Data: f.Data, Binary: f.Binary}
	}
	return engineio.NewPacket(messages...)
}
