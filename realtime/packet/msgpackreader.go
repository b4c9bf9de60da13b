package packet

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// msgpackReader reads MessagePack (github.com/msgpack/msgpack, spec.md) and
// writes it as JSON with placeholders. Lengths are checked against what is
// left before anything is allocated.
type msgpackReader struct {
	b           []byte
	i           int
	limits      Limits
	attachments [][]byte
	literal     bool // there is a map with the key of a placeholder
}

func (r *msgpackReader) take(n int) ([]byte, error) {
	if n < 0 || n > len(r.b)-r.i {
		return nil, invalid("MessagePack ends early")
	}
	r.i += n
	return r.b[r.i-n : r.i : r.i], nil
}

func (r *msgpackReader) code() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// number reads n bytes as a big-endian number.
func (r *msgpackReader) number(n int) (uint64, error) {
	b, err := r.take(n)
	if err != nil {
		return 0, err
	}
	switch n {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	}
	return binary.BigEndian.Uint64(b), nil
}

// length reads a length of n bytes. It fits an int and what is left, as every
// element has at least a byte.
func (r *msgpackReader) length(n int) (int, error) {
	v, err := r.number(n)
	if err != nil {
		return 0, err
	}
	if v > uint64(len(r.b)-r.i) {
		return 0, invalid("MessagePack ends early")
	}
	return int(v), nil
}

// absent skips nil, and what notepack writes for undefined: an extension of
// type 0 with a single byte.
func (r *msgpackReader) absent() bool {
	rest := r.b[r.i:]
	switch {
	case len(rest) > 0 && rest[0] == 0xc0:
		r.i++
		return true
	case len(rest) > 2 && rest[0] == 0xd4 && rest[1] == 0:
		r.i += 3
		return true
	}
	return false
}

func (r *msgpackReader) mapHeader() (int, error) {
	c, err := r.code()
	if err != nil {
		return 0, err
	}
	switch {
	case c&0xf0 == 0x80:
		return int(c & 0x0f), nil
	case c == 0xde:
		return r.length(2)
	case c == 0xdf:
		return r.length(4)
	}
	return 0, invalid("expected a map in MessagePack")
}

func (r *msgpackReader) arrayHeader() (int, error) {
	c, err := r.code()
	if err != nil {
		return 0, err
	}
	switch {
	case c&0xf0 == 0x90:
		return int(c & 0x0f), nil
	case c == 0xdc:
		return r.length(2)
	case c == 0xdd:
		return r.length(4)
	}
	return 0, invalid("expected an array in MessagePack")
}

func (r *msgpackReader) string() ([]byte, error) {
	c, err := r.code()
	if err != nil {
		return nil, err
	}
	return r.stringAfter(c)
}

func (r *msgpackReader) stringAfter(c byte) ([]byte, error) {
	n, err := 0, error(nil)
	switch {
	case c&0xe0 == 0xa0:
		n = int(c & 0x1f)
	case c == 0xd9:
		n, err = r.length(1)
	case c == 0xda:
		n, err = r.length(2)
	case c == 0xdb:
		n, err = r.length(4)
	default:
		return nil, invalid("expected a string in MessagePack")
	}
	if err != nil {
		return nil, err
	}
	s, err := r.take(n)
	if err == nil && !utf8.Valid(s) {
		return nil, invalid("a string that is no UTF-8")
	}
	return s, err
}

func (r *msgpackReader) uint() (uint64, error) {
	c, err := r.code()
	if err != nil {
		return 0, err
	}
	switch {
	case c < 0x80:
		return uint64(c), nil
	case c >= 0xcc && c <= 0xcf:
		return r.number(1 << (c - 0xcc))
	}
	return 0, invalid("expected an unsigned number in MessagePack")
}

// skip checks a value as json does, and throws it away.
func (r *msgpackReader) skip(depth int) error {
	before := len(r.attachments)
	literal := r.literal
	_, err := r.json(nil, depth)
	r.attachments, r.literal = r.attachments[:before], literal
	return err
}

// json appends the next value as JSON.
func (r *msgpackReader) json(dst []byte, depth int) ([]byte, error) {
	c, err := r.code()
	if err != nil {
		return nil, err
	}
	switch {
	case c < 0x80:
		return strconv.AppendUint(dst, uint64(c), 10), nil
	case c >= 0xe0:
		return strconv.AppendInt(dst, int64(int8(c)), 10), nil
	case c&0xf0 == 0x80, c == 0xde, c == 0xdf:
		return r.object(dst, depth)
	case c&0xf0 == 0x90, c == 0xdc, c == 0xdd:
		return r.array(dst, depth)
	case c&0xe0 == 0xa0, c >= 0xd9 && c <= 0xdb:
		s, err := r.stringAfter(c)
		return appendString(dst, string(s)), err
	case c >= 0xcc && c <= 0xcf:
		n, err := r.number(1 << (c - 0xcc))
		return strconv.AppendUint(dst, n, 10), err
	case c >= 0xd0 && c <= 0xd3:
		return r.signed(dst, 1<<(c-0xd0))
	case c >= 0xc4 && c <= 0xc6:
		return r.binary(dst, 1<<(c-0xc4))
	}
	switch c {
	case 0xc0:
		return append(dst, "null"...), nil
	case 0xc2:
		return append(dst, "false"...), nil
	case 0xc3:
		return append(dst, "true"...), nil
	case 0xca:
		n, err := r.number(4)
		return appendFloat(dst, float64(math.Float32frombits(uint32(n)))), err
	case 0xcb:
		n, err := r.number(8)
		return appendFloat(dst, math.Float64frombits(n)), err
	}
	return r.extension(dst, c)
}

func (r *msgpackReader) signed(dst []byte, size int) ([]byte, error) {
	n, err := r.number(size)
	shift := 64 - 8*size
	return strconv.AppendInt(dst, int64(n<<shift)>>shift, 10), err
}

// appendFloat writes what JSON cannot say as null, like JavaScript.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

func (r *msgpackReader) binary(dst []byte, size int) ([]byte, error) {
	n, err := r.length(size)
	if err != nil {
		return nil, err
	}
	if len(r.attachments) == r.limits.Attachments {
		return nil, invalid("more than %d attachments", r.limits.Attachments)
	}
	b, err := r.take(n)
	r.attachments = append(r.attachments, b)
	return appendPlaceholder(dst, len(r.attachments)-1), err
}

func (r *msgpackReader) array(dst []byte, depth int) ([]byte, error) {
	if depth <= 0 {
		return nil, invalid("MessagePack nested too deep")
	}
	r.i--
	n, err := r.arrayHeader()
	if err != nil {
		return nil, err
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.json(dst, depth-1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (r *msgpackReader) object(dst []byte, depth int) ([]byte, error) {
	if depth <= 0 {
		return nil, invalid("MessagePack nested too deep")
	}
	r.i--
	n, err := r.mapHeader()
	if err != nil {
		return nil, err
	}
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		key, err := r.string()
		if err != nil {
			return nil, err
		}
		r.literal = r.literal || string(key) == placeholderKey
		dst = append(appendString(dst, string(key)), ':')
		if dst, err = r.json(dst, depth-1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// extension knows those that notepack writes: undefined and Date (type 0 with
// 1 and 8 bytes), and timestamps as the specification has them (type -1).
func (r *msgpackReader) extension(dst []byte, c byte) ([]byte, error) {
	size := 0
	var err error
	switch {
	case c >= 0xd4 && c <= 0xd8:
		size = 1 << (c - 0xd4)
	case c >= 0xc7 && c <= 0xc9:
		size, err = r.length(1 << (c - 0xc7))
	default:
		return nil, invalid("unexpected byte %#02x in MessagePack", c)
	}
	if err != nil {
		return nil, err
	}
	kind, err := r.code()
	if err != nil {
		return nil, err
	}
	b, err := r.take(size)
	if err != nil {
		return nil, err
	}
	switch {
	case kind == 0 && size == 1:
		return append(dst, "null"...), nil
	case kind == 0 && size == 8:
		return appendTime(dst, time.UnixMilli(int64(binary.BigEndian.Uint64(b))))
	case kind == 0xff && size == 4:
		return appendTime(dst, time.Unix(int64(binary.BigEndian.Uint32(b)), 0))
	case kind == 0xff && size == 8:
		v := binary.BigEndian.Uint64(b)
		return appendTime(dst, time.Unix(int64(v&(1<<34-1)), int64(v>>34)))
	case kind == 0xff && size == 12:
		return appendTime(dst, time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b))))
	}
	return nil, invalid("unknown extension %d of MessagePack", int8(kind))
}

// appendTime writes a time as Date.toJSON does.
func appendTime(dst []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return nil, invalid("a time out of range")
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	return append(dst, '"'), nil
}
