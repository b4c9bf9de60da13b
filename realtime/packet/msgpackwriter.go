package packet

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
)

// msgpackWriter writes JSON with placeholders as MessagePack. The JSON has
// been checked before.
type msgpackWriter struct {
	b           []byte
	attachments [][]byte
}

func (e *msgpackWriter) string(s string) {
	switch n := len(s); {
	case n < 32:
		e.b = append(e.b, 0xa0|byte(n))
	case n < 1<<8:
		e.b = append(e.b, 0xd9, byte(n))
	case n < 1<<16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, 0xda), uint16(n))
	default:
		e.b = binary.BigEndian.AppendUint32(append(e.b, 0xdb), uint32(n))
	}
	e.b = append(e.b, s...)
}

func (e *msgpackWriter) bytes(p []byte) {
	switch n := len(p); {
	case n < 1<<8:
		e.b = append(e.b, 0xc4, byte(n))
	case n < 1<<16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, 0xc5), uint16(n))
	default:
		e.b = binary.BigEndian.AppendUint32(append(e.b, 0xc6), uint32(n))
	}
	e.b = append(e.b, p...)
}

func (e *msgpackWriter) uint(v uint64) {
	switch {
	case v < 1<<7:
		e.b = append(e.b, byte(v))
	case v < 1<<8:
		e.b = append(e.b, 0xcc, byte(v))
	case v < 1<<16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, 0xcd), uint16(v))
	case v < 1<<32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, 0xce), uint32(v))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, 0xcf), v)
	}
}

func (e *msgpackWriter) int(v int64) {
	switch {
	case v >= 0:
		e.uint(uint64(v))
	case v >= -32:
		e.b = append(e.b, byte(v))
	case v >= math.MinInt8:
		e.b = append(e.b, 0xd0, byte(v))
	case v >= math.MinInt16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, 0xd1), uint16(v))
	case v >= math.MinInt32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, 0xd2), uint32(v))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, 0xd3), uint64(v))
	}
}

func (e *msgpackWriter) arrayHeader(n int) { e.header(n, 0x90, 0xdc) }
func (e *msgpackWriter) mapHeader(n int)   { e.header(n, 0x80, 0xde) }

// header writes how many elements follow: within the code small, in two bytes
// after the code wide, in four after the one that follows it.
func (e *msgpackWriter) header(n int, small, wide byte) {
	switch {
	case n < 16:
		e.b = append(e.b, small|byte(n))
	case n < 1<<16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, wide), uint16(n))
	default:
		e.b = binary.BigEndian.AppendUint32(append(e.b, wide+1), uint32(n))
	}
}

// value writes the value of raw that begins at i and returns where it ends.
func (e *msgpackWriter) value(raw []byte, i, depth int) (int, error) {
	if depth == 0 {
		return 0, invalid("JSON nested too deep")
	}
	switch raw[i] {
	case '{':
		return e.object(raw, i, depth)
	case '[':
		return e.array(raw, i, depth)
	}
	end, err := scanValue(raw, i, 1)
	if err != nil {
		return 0, err
	}
	switch text := raw[i:end]; text[0] {
	case '"':
		e.jsonString(text)
	case 't':
		e.b = append(e.b, 0xc3)
	case 'f':
		e.b = append(e.b, 0xc2)
	case 'n':
		e.b = append(e.b, 0xc0)
	default:
		e.number(string(text))
	}
	return end, nil
}

func (e *msgpackWriter) jsonString(text []byte) {
	if plain, ok := plainString(text); ok {
		e.string(string(plain))
		return
	}
	var s string
	_ = json.Unmarshal(text, &s) // cannot fail: the text has been scanned
	e.string(s)
}

func (e *msgpackWriter) number(text string) {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		e.int(v)
		return
	}
	if v, err := strconv.ParseUint(text, 10, 64); err == nil {
		e.uint(v)
		return
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range: ±Inf, as JavaScript reads it
	e.b = binary.BigEndian.AppendUint64(append(e.b, 0xcb), math.Float64bits(f))
}

func (e *msgpackWriter) array(raw []byte, i, depth int) (int, error) {
	e.arrayHeader(count(raw, i))
	for i = space(raw, i+1); raw[i] != ']'; {
		var err error
		if i, err = e.value(raw, i, depth-1); err != nil {
			return 0, err
		}
		if i = space(raw, i); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return i + 1, nil
}

func (e *msgpackWriter) object(raw []byte, start, depth int) (int, error) {
	if len(e.attachments) > 0 {
		f := finder{raw: raw}
		end := f.object(start)
		if len(f.found) == 1 && f.found[0].start == start {
			return end, e.attachment(f.found[0].num)
		}
	}
	e.mapHeader(count(raw, start))
	i := space(raw, start+1)
	for raw[i] != '}' {
		end, err := scanString(raw, i)
		if err != nil {
			return 0, err
		}
		e.jsonString(raw[i:end])
		i = space(raw, space(raw, end)+1)
		if i, err = e.value(raw, i, depth-1); err != nil {
			return 0, err
		}
		if i = space(raw, i); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return i + 1, nil
}

func (e *msgpackWriter) attachment(num int) error {
	if num < 0 || num >= len(e.attachments) {
		return invalid("a placeholder for an attachment that is not there")
	}
	e.bytes(e.attachments[num])
	return nil
}

// count returns how many elements or members the array or object at i has.
func count(raw []byte, i int) int {
	i = space(raw, i+1)
	if raw[i] == ']' || raw[i] == '}' {
		return 0
	}
	n, depth := 1, 0
	for ; ; i++ {
		switch raw[i] {
		case '"':
			end, _ := scanString(raw, i)
			i = end - 1
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return n
			}
			depth--
		case ',':
			if depth == 0 {
				n++
			}
		}
	}
}
