package frame

import (
	"encoding/binary"
	"unicode/utf8"

	"server22.local/appliance/realtime/internal/memory"
)

const (
	maxHeader = 14

	// directMin is the rest of a frame from which on it is worth a read of
	// its own, straight into the message.
	directMin = 2 << 10
	// firstGrab bounds what the mere announcement of a long frame allocates;
	// more follows as the bytes arrive.
	firstGrab = 128 << 10
	// OwnedMin is the size from which on a message that had to be assembled
	// lies in memory of its own, which its receiver may keep.
	OwnedMin = memory.Min
)

// Event is what a Reader took from the stream: a whole message (Text, Binary)
// or a control frame.
type Event struct {
	Op   Op
	Data []byte // valid until the next call of Next, unless Owned
	// Owned says that nobody else will use the memory of Data.
	Owned bool
}

// Reader takes the frames of a client apart. Bytes come in by Feed or by
// Direct and Filled, events go out by Next. The zero value is ready but for
// Limit. It is not safe for concurrent use.
type Reader struct {
	Limit   int64 // the largest message, in bytes
	Inflate bool  // permessage-deflate was agreed

	in   []byte // fed and not yet consumed
	head [maxHeader]byte
	have int // bytes of head

	inFrame bool // the header is complete, left bytes of payload are missing
	op      Op
	fin     bool
	mask    [4]byte
	left    int

	message   []byte // payload so far; of a control frame: control
	pooled    *[]byte
	start     int // where the payload of the current frame begins in message
	messageOp Op  // 0: no message begun
	deflated  bool
	control   []byte
	done      bool // message was returned by the last Next
}

// Feed gives the reader the next bytes of the stream. It changes them (they
// are unmasked in place) and needs them until Next has returned false.
func (r *Reader) Feed(p []byte) { r.in = p }

// Direct returns where the next bytes of the stream should be read to, if the
// reader is in the midst of a long frame, and nil if they should be fed.
func (r *Reader) Direct() []byte {
	if !r.inFrame || r.left < directMin || r.op >= Close || len(r.in) > 0 {
		return nil
	}
	r.grow()
	return r.message[len(r.message):min(cap(r.message), len(r.message)+r.left)]
}

// Filled says that n bytes were read into what Direct returned.
func (r *Reader) Filled(n int) {
	r.message = r.message[:len(r.message)+n]
	r.left -= n
}

// Empty says that nothing is left of what was fed.
func (r *Reader) Empty() bool { return len(r.in) == 0 }

// Release gives back the memory of a message that will not be completed.
func (r *Reader) Release() {
	r.dropMessage()
	r.in, r.control = nil, nil
}

// Next returns the next event; ok is false when the stream must go on first.
// An error is final; if it is an *Error it says how to close.
func (r *Reader) Next() (ev Event, ok bool, err error) {
	if r.done {
		r.dropMessage()
	}
	for {
		if !r.inFrame {
			if complete, err := r.header(); !complete || err != nil {
				return Event{}, false, err
			}
		}
		if r.op >= Close {
			ev, ok = r.controlFrame()
			return ev, ok, nil
		}
		if r.whole() {
			ev, err = r.inPlace()
			return ev, err == nil, err
		}
		if !r.collect() {
			return Event{}, false, nil
		}
		if r.fin {
			ev, err = r.assembled()
			return ev, err == nil, err
		}
	}
}

// header completes r.head from the input and interprets it.
func (r *Reader) header() (complete bool, err error) {
	for {
		need := r.headerSize()
		if r.have >= need {
			break
		}
		n := copy(r.head[r.have:need], r.in)
		if n == 0 {
			return false, nil
		}
		r.have += n
		r.in = r.in[n:]
	}
	return true, r.parseHeader()
}

// headerSize is how long the header is, as far as can be told from its first
// two bytes.
func (r *Reader) headerSize() int {
	if r.have < 2 {
		return 2
	}
	n := 2
	switch r.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if r.head[1]&maskBit != 0 {
		n += 4
	}
	return n
}

func (r *Reader) parseHeader() error {
	size := r.have
	r.have = 0
	first := r.head[0]
	r.op, r.fin = Op(first&opBits), first&finBit != 0
	if r.head[1]&maskBit == 0 {
		return errUnmasked
	}
	copy(r.mask[:], r.head[size-4:size])
	length := uint64(r.head[1] & 0x7f)
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(r.head[2:]))
		if length <= 125 {
			return errLength
		}
	case 127:
		length = binary.BigEndian.Uint64(r.head[2:])
		if length <= 0xffff {
			return errLength
		}
	}
	return r.begin(first, length)
}

// begin checks that the frame may stand here.
func (r *Reader) begin(first byte, length uint64) error {
	reserved := first & 0x70
	if r.Inflate && (r.op == Text || r.op == Binary) {
		reserved &^= rsv1Bit
	}
	if reserved != 0 {
		return errReserved
	}
	switch r.op {
	case Close, Ping, Pong:
		if length > maxControl || !r.fin {
			return errControl
		}
		r.control = r.control[:0]
	case Text, Binary:
		if r.messageOp != 0 {
			return errContinuation
		}
		r.deflated = first&rsv1Bit != 0
	case Continuation:
		if r.messageOp == 0 {
			return errContinuation
		}
	default:
		return errOpcode
	}
	if r.op < Close && length > uint64(max(0, r.Limit-int64(len(r.message)))) {
		return ErrTooBig
	}
	r.inFrame, r.left, r.start = true, int(length), len(r.message)
	return nil
}

// whole says that the current frame is a message that lies in the input as a
// whole.
func (r *Reader) whole() bool {
	return r.fin && r.messageOp == 0 && len(r.message) == 0 && len(r.in) >= r.left && !r.deflated
}

func (r *Reader) inPlace() (Event, error) {
	payload := r.in[:r.left]
	r.in = r.in[r.left:]
	r.inFrame = false
	unmask(payload, r.mask)
	if r.op == Text && !utf8.Valid(payload) {
		return Event{}, errUTF8
	}
	return Event{Op: r.op, Data: payload}, nil
}

// collect moves input to the message and says whether the frame is complete.
func (r *Reader) collect() bool {
	for r.left > 0 && len(r.in) > 0 {
		r.grow()
		n := min(r.left, len(r.in), cap(r.message)-len(r.message))
		r.message = append(r.message, r.in[:n]...)
		r.in = r.in[n:]
		r.left -= n
	}
	if r.messageOp == 0 {
		r.messageOp = r.op
	}
	if r.left > 0 {
		return false
	}
	unmask(r.message[r.start:], r.mask)
	r.inFrame = false
	return true
}

// assembled returns the message that collect has put together.
func (r *Reader) assembled() (Event, error) {
	ev := Event{Op: r.messageOp, Data: r.message, Owned: r.pooled == nil && len(r.message) >= OwnedMin}
	r.done = true
	if r.deflated {
		data, err := inflate(r.message, r.Limit)
		if err != nil {
			return Event{}, err
		}
		ev.Data, ev.Owned = data, true
	}
	if ev.Op == Text && !utf8.Valid(ev.Data) {
		return Event{}, errUTF8
	}
	return ev, nil
}

func (r *Reader) controlFrame() (Event, bool) {
	n := min(r.left, len(r.in))
	r.control = append(r.control, r.in[:n]...)
	r.in = r.in[n:]
	if r.left -= n; r.left > 0 {
		return Event{}, false
	}
	r.inFrame = false
	unmask(r.control, r.mask)
	return Event{Op: r.op, Data: r.control}, true
}

// grow makes room in the message for at least some of what is missing.
func (r *Reader) grow() {
	if len(r.message) < cap(r.message) {
		return
	}
	need := len(r.message) + r.left
	if need <= smallBuffer {
		r.pooled = takeBuffer()
		r.message = append((*r.pooled)[:0], r.message...)
		return
	}
	size := max(min(need, firstGrab), min(need, 2*cap(r.message)))
	grown := append(memory.Make(size), r.message...)
	r.giveBack()
	r.message = grown
}

func (r *Reader) dropMessage() {
	r.giveBack()
	r.message, r.messageOp, r.deflated, r.done = nil, 0, false, false
}

// giveBack returns the memory of the message, unless it is owned by who has it
// got.
func (r *Reader) giveBack() {
	if r.pooled != nil {
		putBuffer(r.pooled)
		r.pooled = nil
	}
}

// ParseClose reads the payload of a close frame; CodeNone stands for an empty
// one.
func ParseClose(payload []byte) (code int, err error) {
	if len(payload) == 0 {
		return CodeNone, nil
	}
	if len(payload) == 1 {
		return 0, errCloseFrame
	}
	code = int(binary.BigEndian.Uint16(payload))
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
	default:
		return 0, errCloseFrame
	}
	if !utf8.Valid(payload[2:]) {
		return 0, errUTF8
	}
	return code, nil
}
