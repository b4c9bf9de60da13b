package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// Version is the version of the Engine.IO protocol, the EIO query parameter.
type Version int

// The versions in use. V3 was spoken by Socket.IO 1 and 2.
const (
	V3 Version = 3
	V4 Version = 4
)

// Type is what a packet is for.
type Type byte

// The packet types of versions 3 and 4.
const (
	Open    Type = iota // the handshake, server to client
	Close               // the sender closes the session
	Ping                // heartbeat; "probe" while upgrading
	Pong                // the answer to a ping, with the ping's data
	Message             // the application's data
	Upgrade             // the client moves to this transport
	Noop                // releases a waiting poll while upgrading
)

// Digit is the type as it is written in text.
func (t Type) Digit() byte { return '0' + byte(t) }

// String names the type for logs.
func (t Type) String() string {
	names := [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", byte(t))
}

// Packet is one Engine.IO packet. Only messages are ever binary.
type Packet struct {
	Type   Type
	Binary bool
	Data   []byte
}

// What a decoder refuses. Every error of this package wraps ErrMalformed.
var (
	ErrMalformed = errors.New("malformed engine.io packet")

	errEmpty  = fmt.Errorf("%w: empty", ErrMalformed)
	errType   = fmt.Errorf("%w: unknown type", ErrMalformed)
	errBase64 = fmt.Errorf("%w: invalid base64", ErrMalformed)
	errLength = fmt.Errorf("%w: invalid length", ErrMalformed)
	errUTF8   = fmt.Errorf("%w: invalid UTF-8", ErrMalformed)
)

// AppendFrame appends the content of the WebSocket message that carries p; the
// message is binary if p is.
func AppendFrame(dst []byte, v Version, p Packet) []byte {
	switch {
	case !p.Binary:
		dst = append(dst, p.Type.Digit())
	case v == V3:
		dst = append(dst, byte(p.Type))
	}
	return append(dst, p.Data...)
}

// ParseFrame reads the content of one WebSocket message. The packet's Data
// lies within data, but for base64, in which clients that were told to do so
// send binary packets even here.
func ParseFrame(v Version, binary bool, data []byte) (Packet, error) {
	switch {
	case !binary && v == V3:
		return parseRecord3(data)
	case !binary:
		return parseRecord4(data)
	case v == V3:
		if len(data) == 0 {
			return Packet{}, errEmpty
		}
		if data[0] > byte(Noop) {
			return Packet{}, errType
		}
		return Packet{Type: Type(data[0]), Binary: true, Data: data[1:]}, nil
	default:
		return Packet{Type: Message, Binary: true, Data: data}, nil
	}
}

func parseText(data []byte) (Packet, error) {
	if len(data) == 0 {
		return Packet{}, errEmpty
	}
	if data[0] < '0' || data[0] > Noop.Digit() {
		return Packet{}, errType
	}
	return Packet{Type: Type(data[0] - '0'), Data: data[1:]}, nil
}

// decodeBase64 accepts input with and without padding, as clients send both.
func decodeBase64(text []byte) ([]byte, error) {
	for len(text) > 0 && text[len(text)-1] == '=' {
		text = text[:len(text)-1]
	}
	data, err := base64.RawStdEncoding.AppendDecode([]byte{}, text) // empty is not absent
	if err != nil {
		return nil, errBase64
	}
	return data, nil
}
