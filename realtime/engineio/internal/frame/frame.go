// Package frame is the framing of WebSocket connections (RFC 6455 §5) for the
// server's side: it appends headers of unmasked frames, and takes masked ones
// apart as their bytes arrive, without ever waiting for more. Nothing here
// touches a connection, so that whoever does is free to choose when and how.
package frame

import "encoding/binary"

// Op is the opcode of a frame.
type Op byte

// The opcodes of RFC 6455 §5.2.
const (
	Continuation Op = 0
	Text         Op = 1
	Binary       Op = 2
	Close        Op = 8
	Ping         Op = 9
	Pong         Op = 10
)

// MaxServerHeader is the size of the longest header of an unmasked frame.
const MaxServerHeader = 10

const (
	finBit  = 0x80
	rsv1Bit = 0x40
	maskBit = 0x80
	opBits  = 0x0f

	maxControl = 125
)

// AppendHeader appends the header of an unmasked, final frame of n bytes.
func AppendHeader(dst []byte, op Op, n int) []byte {
	return appendHeader(dst, finBit|byte(op), n)
}

// AppendDeflatedHeader is AppendHeader for a message compressed by RFC 7692.
func AppendDeflatedHeader(dst []byte, op Op, n int) []byte {
	return appendHeader(dst, finBit|rsv1Bit|byte(op), n)
}

func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n <= 125:
		return append(dst, first, byte(n))
	case n <= 0xffff:
		return append(dst, first, 126, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
	}
}

// Append appends an unmasked, final frame.
func Append(dst []byte, op Op, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// The close codes in use (RFC 6455 §7.4.1).
const (
	CodeProtocol    = 1002
	CodeNone        = 1005 // never on the wire: a close frame without a code
	CodeInvalidUTF8 = 1007
	CodeTooBig      = 1009
)

// AppendClose appends a close frame; CodeNone stands for an empty one.
func AppendClose(dst []byte, code int) []byte {
	if code == CodeNone {
		return AppendHeader(dst, Close, 0)
	}
	return append(AppendHeader(dst, Close, 2), byte(code>>8), byte(code))
}

// Error is a violation of the protocol by the peer.
type Error struct {
	Code int // the close code to answer with
	Text string
}

// Error says what the peer did.
func (e *Error) Error() string { return "websocket: " + e.Text }

// The violations that a Reader finds.
var (
	ErrTooBig = &Error{CodeTooBig, "message too big"}

	errUnmasked     = &Error{CodeProtocol, "frame not masked"}
	errReserved     = &Error{CodeProtocol, "reserved bit set"}
	errOpcode       = &Error{CodeProtocol, "unknown opcode"}
	errControl      = &Error{CodeProtocol, "control frame too long or fragmented"}
	errContinuation = &Error{CodeProtocol, "message begun or continued out of turn"}
	errLength       = &Error{CodeProtocol, "length not in its shortest form"}
	errUTF8         = &Error{CodeInvalidUTF8, "text is not UTF-8"}
	errCloseFrame   = &Error{CodeProtocol, "malformed close frame"}
	errDeflate      = &Error{CodeInvalidUTF8, "compressed message does not inflate"}
)
