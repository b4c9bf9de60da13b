package wire

import (
	"bytes"
	"encoding/base64"
	"iter"
	"unicode/utf8"
)

// Separator stands between the packets of a version 4 payload.
const Separator = 0x1e

// AppendPayload4 appends p to a version 4 payload. dst must hold nothing but
// packets of that payload.
func AppendPayload4(dst []byte, p Packet) []byte {
	if len(dst) > 0 {
		dst = append(dst, Separator)
	}
	if p.Binary {
		dst = append(dst, 'b')
		return base64.StdEncoding.AppendEncode(dst, p.Data)
	}
	dst = append(dst, p.Type.Digit())
	return append(dst, p.Data...)
}

// Payload4 yields the packets of a version 4 payload in order. It ends with
// the first error. Data of text packets lies within body.
func Payload4(body []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		if !utf8.Valid(body) {
			yield(Packet{}, errUTF8)
			return
		}
		for {
			record, rest, more := bytes.Cut(body, []byte{Separator})
			p, err := parseRecord4(record)
			if !yield(p, err) || err != nil || !more {
				return
			}
			body = rest
		}
	}
}

func parseRecord4(record []byte) (Packet, error) {
	if len(record) > 0 && record[0] == 'b' {
		data, err := decodeBase64(record[1:])
		return Packet{Type: Message, Binary: true, Data: data}, err
	}
	return parseText(record)
}
