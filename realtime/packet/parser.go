package packet

// Frame is one message of the connection beneath: text, or bytes.
type Frame struct {
	Data   []byte
	Binary bool
	// Lease is what holds Data, if that is memory which is used again. Only
	// attachments have one.
	Lease Lease
}

// Lease is the right to use memory that is used again when nobody holds it any
// more. Memory that is never released is left to the garbage collector.
type Lease interface {
	// Hold counts one more holder. It returns false if it is too late.
	Hold() bool
	// Release counts one holder less.
	Release()
}

// Parser is a form in which packets travel.
type Parser interface {
	// Name is a stable, short name: "json", "msgpack".
	Name() string

	// Encode appends the frames of a packet, the first of which stand
	// together on a connection. The frames may share memory with p.
	Encode(dst []Frame, p *Packet) ([]Frame, error)

	// NewDecoder returns a decoder for one connection.
	NewDecoder(Limits) Decoder
}

// Decoder puts the messages of one connection together to packets. It is not
// safe for concurrent use, and of no use after an error.
type Decoder interface {
	// Decode takes the next message. It returns nil while attachments of a
	// packet are still to come. The packet may refer to f.Data, which must
	// not be changed from then on. Errors wrap ErrInvalid.
	Decode(f Frame) (*Packet, error)
}

// Limits bound what a decoder accepts from the other side. A zero field means
// its default.
type Limits struct {
	Attachments int // a packet; 10 by default, as in socket.io-parser
	Depth       int // of arrays and objects in each other; 128 by default
	Args        int // a packet; 1024 by default
}

const (
	defaultAttachments = 10
	defaultDepth       = 128
	defaultArgs        = 1024

	// maxNamespace bounds the name that a client may ask for: it is kept
	// for as long as the connection lives.
	maxNamespace = 512
)

func (l Limits) withDefaults() Limits {
	if l.Attachments == 0 {
		l.Attachments = defaultAttachments
	}
	if l.Depth == 0 {
		l.Depth = defaultDepth
	}
	if l.Args == 0 {
		l.Args = defaultArgs
	}
	return l
}
