package packet

import (
	"bytes"
	"strconv"
)

// JSON is the parser that every client of Socket.IO speaks: a text message a
// packet, followed by a binary message an attachment.
var JSON Parser = jsonParser{}

type jsonParser struct{}

func (jsonParser) Name() string { return "json" }

func (jsonParser) NewDecoder(l Limits) Decoder {
	return &jsonDecoder{limits: l.withDefaults()}
}

// Digits of the types on the wire, where a packet with attachments has a type
// of its own.
const (
	wireBinaryEvent = 5
	wireBinaryAck   = 6
)

func (jsonParser) Encode(dst []Frame, p *Packet) ([]Frame, error) {
	dst = append(dst, Frame{Data: appendJSON(make([]byte, 0, jsonSize(p)), p)})
	for _, a := range p.Attachments {
		dst = append(dst, Frame{Data: a, Binary: true})
	}
	return dst, nil
}

// jsonSize bounds the length of the text of a packet from above.
func jsonSize(p *Packet) int {
	n := 1 + 4 + len(p.Namespace) + 1 + 20 + len(p.Payload) + 2
	for _, arg := range p.Args {
		n += len(arg) + 1
	}
	return n
}

func appendJSON(b []byte, p *Packet) []byte {
	digit := byte(p.Type)
	if len(p.Attachments) > 0 {
		digit += wireBinaryEvent - byte(Event)
	}
	b = append(b, '0'+digit)
	if len(p.Attachments) > 0 {
		b = strconv.AppendInt(b, int64(len(p.Attachments)), 10)
		b = append(b, '-')
	}
	if p.Namespace != "/" && p.Namespace != "" {
		b = append(b, p.Namespace...)
		b = append(b, ',')
	}
	if p.HasID {
		b = strconv.AppendUint(b, p.ID, 10)
	}
	if p.Type != Event && p.Type != Ack {
		return append(b, p.Payload...)
	}
	b = append(b, '[')
	for i, arg := range p.Args {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, arg...)
	}
	return append(b, ']')
}

// jsonDecoder waits, while pending is set, for the attachments of that packet.
type jsonDecoder struct {
	limits    Limits
	namespace string // of the last packet: nearly always that of the next
	pending   *Packet
	missing   int
}

func (d *jsonDecoder) Decode(f Frame) (*Packet, error) {
	if f.Binary {
		return d.attach(f)
	}
	if d.pending != nil {
		return nil, invalid("text while %d attachments are missing", d.missing)
	}
	p, attachments, err := d.parse(f.Data)
	if err != nil {
		return nil, err
	}
	if attachments == 0 {
		return p, nil
	}
	p.Attachments = make([][]byte, 0, attachments)
	d.pending, d.missing = p, attachments
	return nil, nil
}

func (d *jsonDecoder) attach(f Frame) (*Packet, error) {
	p := d.pending
	if p == nil {
		return nil, invalid("an attachment without a packet")
	}
	if f.Data == nil {
		f.Data = []byte{} // nil would go out as null
	}
	p.Attachments = append(p.Attachments, f.Data)
	if f.Lease != nil {
		p.leases = append(p.leases, f.Lease)
	}
	if d.missing--; d.missing > 0 {
		return nil, nil
	}
	d.pending = nil
	return p, nil
}

func (d *jsonDecoder) parse(b []byte) (p *Packet, attachments int, err error) {
	if len(b) == 0 {
		return nil, 0, invalid("empty message")
	}
	p = newPacket(0, "")
	i := 1
	switch digit := b[0] - '0'; {
	case digit == wireBinaryEvent || digit == wireBinaryAck:
		p.Type = Type(digit - (wireBinaryEvent - byte(Event)))
		if attachments, i, err = d.count(b); err != nil {
			return nil, 0, err
		}
	case Type(digit) <= ConnectError:
		p.Type = Type(digit)
	default:
		return nil, 0, invalid("unknown type %q", b[0])
	}
	if i, err = d.readNamespace(p, b, i); err != nil {
		return nil, 0, err
	}
	id, n, err := decimal(b, i)
	if err != nil {
		return nil, 0, err
	}
	p.ID, p.HasID, i = id, n > 0, i+n
	if err := d.readPayload(p, b[i:]); err != nil {
		return nil, 0, err
	}
	if attachments > 0 {
		err = checkPlaceholders(p.Args, attachments)
	}
	return p, attachments, err
}

// count reads the number of attachments: "<n>-" after the type.
func (d *jsonDecoder) count(b []byte) (attachments, next int, err error) {
	v, n, err := decimal(b, 1)
	if err != nil {
		return 0, 0, err
	}
	if n == 0 || 1+n >= len(b) || b[1+n] != '-' {
		return 0, 0, invalid("no number of attachments")
	}
	if v > uint64(d.limits.Attachments) {
		return 0, 0, invalid("%d attachments, allowed are %d", v, d.limits.Attachments)
	}
	return int(v), 1 + n + 1, nil
}

// readNamespace reads "/name," at i; the comma may be missing at the end.
func (d *jsonDecoder) readNamespace(p *Packet, b []byte, i int) (int, error) {
	if i >= len(b) || b[i] != '/' {
		p.Namespace = "/"
		return i, nil
	}
	name, next := b[i:], len(b)
	if comma := bytes.IndexByte(name, ','); comma >= 0 {
		name, next = name[:comma], i+comma+1
	}
	if len(name) > maxNamespace {
		return 0, invalid("a namespace of %d bytes", len(name))
	}
	if string(name) != d.namespace {
		d.namespace = string(name)
	}
	p.Namespace = d.namespace
	return next, nil
}

func (d *jsonDecoder) readPayload(p *Packet, b []byte) (err error) {
	switch p.Type {
	case Event, Ack:
		if p.Args, err = splitArray(p.Args, b, d.limits.Depth, d.limits.Args); err != nil {
			return err
		}
	default:
		p.Args = nil
		if len(b) > 0 {
			if p.Payload, err = scanText(b, d.limits.Depth); err != nil {
				return err
			}
		}
	}
	return p.validate()
}
