package packet

// MessagePack is the parser of socket.io-msgpack-parser: a binary message a
// packet, in which bytes stand where they belong.
var MessagePack Parser = msgpackParser{}

type msgpackParser struct{}

func (msgpackParser) Name() string { return "msgpack" }

func (msgpackParser) NewDecoder(l Limits) Decoder {
	return msgpackDecoder{limits: l.withDefaults()}
}

// Encode writes the map {type, nsp, data, id}, with data absent where a
// packet has none.
func (msgpackParser) Encode(dst []Frame, p *Packet) ([]Frame, error) {
	fields := 2
	hasData := p.Type == Event || p.Type == Ack || p.Payload != nil
	if hasData {
		fields++
	}
	if p.HasID {
		fields++
	}
	e := msgpackWriter{b: make([]byte, 0, jsonSize(p)+attached(p)+32), attachments: p.Attachments}
	e.b = append(e.b, 0x80|byte(fields))
	e.string("type")
	e.b = append(e.b, byte(p.Type))
	e.string("nsp")
	if p.Namespace == "" {
		e.string("/")
	} else {
		e.string(p.Namespace)
	}
	if hasData {
		e.string("data")
		if err := e.data(p); err != nil {
			return dst, err
		}
	}
	if p.HasID {
		e.string("id")
		e.uint(p.ID)
	}
	return append(dst, Frame{Data: e.b, Binary: true}), nil
}

func attached(p *Packet) (n int) {
	for _, a := range p.Attachments {
		n += len(a) + 5
	}
	return n
}

func (e *msgpackWriter) data(p *Packet) error {
	if p.Type != Event && p.Type != Ack {
		_, err := e.value(p.Payload, 0, maxDepth)
		return err
	}
	e.arrayHeader(len(p.Args))
	for _, arg := range p.Args {
		if _, err := e.value(arg, space(arg, 0), maxDepth); err != nil {
			return err
		}
	}
	return nil
}

type msgpackDecoder struct{ limits Limits }

func (d msgpackDecoder) Decode(f Frame) (*Packet, error) {
	if !f.Binary {
		return nil, invalid("a text message in place of MessagePack")
	}
	r := msgpackReader{b: f.Data, limits: d.limits}
	p, err := r.packet()
	if err != nil {
		return nil, err
	}
	if r.i != len(r.b) {
		return nil, invalid("bytes after the packet")
	}
	if f.Lease != nil && len(p.Attachments) > 0 {
		p.leases = []Lease{f.Lease}
	}
	return p, p.validate()
}

// packet reads the map whose entries may come in any order; those that it
// does not know (options) are skipped.
func (r *msgpackReader) packet() (*Packet, error) {
	entries, err := r.mapHeader()
	if err != nil {
		return nil, err
	}
	p := &Packet{Namespace: "/"}
	data, seen := -1, false
	for range entries {
		key, err := r.string()
		if err != nil {
			return nil, err
		}
		switch string(key) {
		case "type":
			seen = true
			err = r.packetType(p)
		case "nsp":
			err = r.namespace(p)
		case "id":
			err = r.id(p)
		case "data":
			data = r.i
			err = r.skip(r.limits.Depth)
		default:
			err = r.skip(r.limits.Depth)
		}
		if err != nil {
			return nil, err
		}
	}
	if !seen {
		return nil, invalid("a packet without a type")
	}
	if data < 0 {
		return p, nil
	}
	return p, r.readData(p, data)
}

func (r *msgpackReader) packetType(p *Packet) error {
	n, err := r.uint()
	if err != nil {
		return err
	}
	if n > uint64(ConnectError) {
		return invalid("unknown type %d", n)
	}
	p.Type = Type(n)
	return nil
}

func (r *msgpackReader) namespace(p *Packet) error {
	s, err := r.string()
	if err != nil {
		return err
	}
	if len(s) == 0 || s[0] != '/' || len(s) > maxNamespace {
		return invalid("a bad namespace")
	}
	p.Namespace = string(s)
	return nil
}

// id may be nil, which some encoders write for undefined.
func (r *msgpackReader) id(p *Packet) (err error) {
	if r.absent() {
		return nil
	}
	p.ID, err = r.uint()
	p.HasID = true
	return err
}

// readData turns the data at an offset into JSON, when the type is known.
func (r *msgpackReader) readData(p *Packet, at int) error {
	rest := r.i
	defer func() { r.i = rest }()
	r.i = at
	if r.absent() {
		return nil
	}
	if p.Type != Event && p.Type != Ack {
		payload, err := r.json(nil, r.limits.Depth)
		p.Payload = payload
		if err == nil && len(r.attachments) > 0 {
			return invalid("binary data in %v", p.Type)
		}
		return err
	}
	n, err := r.arrayHeader()
	if err != nil {
		return err
	}
	if n > r.limits.Args {
		return invalid("more than %d arguments", r.limits.Args)
	}
	for range n {
		arg, err := r.json(nil, r.limits.Depth-1)
		if err != nil {
			return err
		}
		p.Args = append(p.Args, arg)
	}
	p.Attachments = r.attachments
	if r.literal && len(p.Attachments) > 0 {
		return invalid("an object with the key %s beside binary data", placeholderKey)
	}
	return nil
}
