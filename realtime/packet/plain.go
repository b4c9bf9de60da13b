package packet

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// Plain is the form for WebSockets without Socket.IO: JSON in text messages,
// one for each packet, without a namespace.
//
//	["event", arg, …]                          an event
//	{"event": "event", "args": [arg, …], "id": 1}   one that asks for an acknowledgement
//	{"ack": 1, "args": [arg, …]}                the acknowledgement
//	{"sid": "…"}                                the server's first message
//	{"error": {"message": "…", "data": …}}      or its refusal, before it closes
//
// The first three go both ways. Bytes are strings in base64; what a client
// sends has none.
var Plain Parser = plainParser{}

type plainParser struct{}

func (plainParser) Name() string { return "plain" }

func (plainParser) NewDecoder(l Limits) Decoder { return plainDecoder{l.withDefaults()} }

// Encode writes nothing for a Disconnect: the connection ends.
func (plainParser) Encode(dst []Frame, p *Packet) ([]Frame, error) {
	var b []byte
	switch {
	case p.Type == Connect:
		b = append(b, p.Payload...)
	case p.Type == ConnectError:
		b = append(append(append(b, `{"error":`...), p.Payload...), '}')
	case p.Type == Disconnect:
		return dst, nil
	case p.Type == Ack:
		b = strconv.AppendUint(append(b, `{"ack":`...), p.ID, 10)
		b = append(plainArgs(append(b, `,"args":`...), p, p.Args), '}')
	case p.HasID:
		b = append(append(b, `{"event":`...), p.Args[0]...)
		b = plainArgs(append(b, `,"args":`...), p, p.Args[1:])
		b = append(strconv.AppendUint(append(b, `,"id":`...), p.ID, 10), '}')
	default:
		b = plainArgs(b, p, p.Args)
	}
	return append(dst, Frame{Data: b}), nil
}

func plainArgs(dst []byte, p *Packet, args []json.RawMessage) []byte {
	dst = append(dst, '[')
	for i, arg := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		found := p.value(arg).placeholders()
		if found == nil {
			dst = append(dst, arg...)
			continue
		}
		dst = append(dst, replacePlaceholders(arg, found, func(dst []byte, num int) []byte {
			dst = append(dst, '"')
			dst = base64.StdEncoding.AppendEncode(dst, p.Attachments[num])
			return append(dst, '"')
		})...)
	}
	return append(dst, ']')
}

type plainDecoder struct{ limits Limits }

func (d plainDecoder) Decode(f Frame) (*Packet, error) {
	if f.Binary {
		return nil, invalid("a binary message")
	}
	text, err := scanText(f.Data, d.limits.Depth)
	if err != nil {
		return nil, err
	}
	p := newPacket(Event, "/")
	switch text[0] {
	case '[':
		p.Args, err = splitArray(p.Args, text, d.limits.Depth, d.limits.Args)
	case '{':
		err = d.object(p, text)
	default:
		err = invalid("neither array nor object")
	}
	if err != nil {
		return nil, err
	}
	return p, p.validate()
}

// object reads the forms with an id.
func (d plainDecoder) object(p *Packet, text json.RawMessage) error {
	var o struct {
		Event json.RawMessage   `json:"event"`
		Args  []json.RawMessage `json:"args"`
		ID    *uint64           `json:"id"`
		Ack   *uint64           `json:"ack"`
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return invalid("%v", err)
	}
	if len(o.Args) > d.limits.Args {
		return invalid("more than %d arguments", d.limits.Args)
	}
	switch {
	case o.Ack != nil:
		p.Type, p.ID, p.HasID, p.Args = Ack, *o.Ack, true, o.Args
	case o.Event != nil:
		p.Args = append([]json.RawMessage{o.Event}, o.Args...)
		if o.ID != nil {
			p.ID, p.HasID = *o.ID, true
		}
	default:
		return invalid("an object with neither event nor ack")
	}
	return nil
}
