package wire

import (
	"encoding/base64"
	"iter"
	"strconv"
	"unicode/utf8"
)

// maxLengthDigits bounds the length prefixes of version 3: what they say fits
// an int of 32 bits, as a Raspberry Pi may have.
const maxLengthDigits = 9

// AppendPayload3 appends p to a version 3 payload in its textual form, in
// which binary packets are base64.
func AppendPayload3(dst []byte, p Packet) []byte {
	if p.Binary {
		n := 2 + base64.StdEncoding.EncodedLen(len(p.Data))
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(dst, ':', 'b', p.Type.Digit())
		return base64.StdEncoding.AppendEncode(dst, p.Data)
	}
	dst = strconv.AppendInt(dst, int64(1+utf16Len(p.Data)), 10)
	dst = append(dst, ':', p.Type.Digit())
	return append(dst, p.Data...)
}

// AppendBinaryPayload3 appends p to a version 3 payload in its binary form
// (application/octet-stream): a kind, the decimal digits of the length as
// bytes 0 to 9, the byte 255, the packet.
func AppendBinaryPayload3(dst []byte, p Packet) []byte {
	kind, typ := byte(0), p.Type.Digit()
	if p.Binary {
		kind, typ = 1, byte(p.Type)
	}
	dst = append(dst, kind)
	for _, digit := range strconv.Itoa(1 + len(p.Data)) {
		dst = append(dst, byte(digit-'0'))
	}
	dst = append(dst, 255, typ)
	return append(dst, p.Data...)
}

// Payload3 yields the packets of a textual version 3 payload in order. It ends
// with the first error. Data of text packets lies within body.
func Payload3(body []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		if len(body) == 0 {
			yield(Packet{}, errEmpty)
			return
		}
		for len(body) > 0 {
			record, rest, err := cutRecord3(body)
			var p Packet
			if err == nil {
				p, err = parseRecord3(record)
			}
			if !yield(p, err) || err != nil {
				return
			}
			body = rest
		}
	}
}

// BinaryPayload3 yields the packets of a binary version 3 payload in order. It
// ends with the first error. Data lies within body.
func BinaryPayload3(body []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		if len(body) == 0 {
			yield(Packet{}, errEmpty)
			return
		}
		for len(body) > 0 {
			p, rest, err := cutBinary3(body)
			if !yield(p, err) || err != nil {
				return
			}
			body = rest
		}
	}
}

func parseRecord3(record []byte) (Packet, error) {
	if len(record) < 2 || record[0] != 'b' {
		return parseText(record)
	}
	p, err := parseText(record[1:])
	if err != nil {
		return p, err
	}
	p.Binary = true
	p.Data, err = decodeBase64(p.Data)
	return p, err
}

// cutRecord3 splits "length:record" off the front of body.
func cutRecord3(body []byte) (record, rest []byte, err error) {
	n, i := 0, 0
	for ; i < len(body) && body[i] != ':'; i++ {
		if body[i] < '0' || body[i] > '9' || i == maxLengthDigits {
			return nil, nil, errLength
		}
		n = n*10 + int(body[i]-'0')
	}
	if i == 0 || i == len(body) || n == 0 {
		return nil, nil, errLength
	}
	body = body[i+1:]
	end, err := utf16Cut(body, n)
	if err != nil {
		return nil, nil, err
	}
	return body[:end], body[end:], nil
}

// cutBinary3 splits one packet off the front of a binary payload.
func cutBinary3(body []byte) (p Packet, rest []byte, err error) {
	kind := body[0]
	if kind > 1 {
		return p, nil, errType
	}
	n, i := 0, 1
	for ; i < len(body) && body[i] != 255; i++ {
		if body[i] > 9 || i > maxLengthDigits {
			return p, nil, errLength
		}
		n = n*10 + int(body[i])
	}
	if i == 1 || i == len(body) || n > len(body)-i-1 {
		return p, nil, errLength
	}
	record, rest := body[i+1:i+1+n], body[i+1+n:]
	if kind == 0 && !utf8.Valid(record) {
		return p, nil, errUTF8
	}
	p, err = ParseFrame(V3, kind == 1, record)
	return p, rest, err
}

// utf16Len counts text as JavaScript does.
func utf16Len(text []byte) int {
	n := 0
	for i := 0; i < len(text); n++ {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r >= 0x10000 {
			n++
		}
		i += size
	}
	return n
}

// utf16Cut finds the byte at which n UTF-16 units of text end.
func utf16Cut(text []byte, n int) (int, error) {
	i := 0
	for n > 0 {
		if i == len(text) {
			return 0, errLength
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			if r, size = utf8.DecodeRune(text[i:]); r == utf8.RuneError && size == 1 {
				return 0, errUTF8
			}
		}
		if r >= 0x10000 {
			n--
		}
		n--
		i += size
	}
	if n < 0 {
		return 0, errLength // the length ends inside a surrogate pair
	}
	return i, nil
}
