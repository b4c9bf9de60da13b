package mqtt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// kind is the type of a control packet (§2.2.1).
type kind byte

const (
	connect     kind = 1
	connack     kind = 2
	publish     kind = 3
	puback      kind = 4
	pubrec      kind = 5
	pubrel      kind = 6
	pubcomp     kind = 7
	subscribe   kind = 8
	suback      kind = 9
	unsubscribe kind = 10
	unsuback    kind = 11
	pingreq     kind = 12
	pingresp    kind = 13
	disconnect  kind = 14
)

// Errors that end a connection: the standard has no other answer to them (§4.8).
var (
	errMalformed = errors.New("malformed packet")
	errTooLarge  = errors.New("packet too large")
	errProtocol  = errors.New("protocol violation")
)

// packet is a control packet: its fixed header and the rest.
type packet struct {
	kind  kind
	flags byte
	body  body
}

// readPacket reads one packet whose rest has at most so many bytes.
func readPacket(r *bufio.Reader, most int) (packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	n, err := readLength(r)
	if err != nil {
		return packet{}, err
	}
	if n > most {
		return packet{}, fmt.Errorf("%w: %d bytes", errTooLarge, n)
	}
	p := packet{kind: kind(first >> 4), flags: first & 0xf, body: make(body, n)}
	if _, err := io.ReadFull(r, p.body); err != nil {
		return packet{}, err
	}
	return p, p.checkFlags()
}

// readLength reads a length of one to four bytes (§2.2.3).
func readLength(r io.ByteReader) (int, error) {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, errMalformed
}

// checkFlags holds the reserved flags to their values (§2.2.2).
func (p packet) checkFlags() error {
	want := byte(0)
	switch p.kind {
	case publish:
		return nil
	case pubrel, subscribe, unsubscribe:
		want = 2
	}
	if p.flags != want {
		return errMalformed
	}
	return nil
}

// body is what of a packet is still to be read. What is taken from it shares
// its memory.
type body []byte

func (b *body) take(n int) ([]byte, error) {
	if len(*b) < n {
		return nil, errMalformed
	}
	taken := (*b)[:n:n]
	*b = (*b)[n:]
	return taken, nil
}

func (b *body) byte() (byte, error) {
	taken, err := b.take(1)
	if err != nil {
		return 0, err
	}
	return taken[0], nil
}

func (b *body) uint16() (uint16, error) {
	taken, err := b.take(2)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint16(taken), nil
}

// bytes takes binary data behind its length.
func (b *body) bytes() ([]byte, error) {
	n, err := b.uint16()
	if err != nil {
		return nil, err
	}
	return b.take(int(n))
}

// string takes text behind its length (§1.5.3).
func (b *body) string() (string, error) {
	taken, err := b.bytes()
	if err == nil && !utf8.Valid(taken) {
		err = errMalformed
	}
	return string(taken), err
}

// id takes the identifier of a packet, which is not 0 (§2.3.1).
func (b *body) id() (uint16, error) {
	id, err := b.uint16()
	if err == nil && id == 0 {
		err = errMalformed
	}
	return id, err
}

// appendPacket writes a packet with its length.
func appendPacket(dst []byte, k kind, flags byte, rest ...[]byte) []byte {
	n := 0
	for _, part := range rest {
		n += len(part)
	}
	dst = append(dst, byte(k)<<4|flags)
	for ; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	dst = append(dst, byte(n))
	for _, part := range rest {
		dst = append(dst, part...)
	}
	return dst
}

// short writes a packet that is an identifier alone.
func short(k kind, id uint16) []byte {
	return appendPacket(nil, k, flagsOf(k), binary.BigEndian.AppendUint16(nil, id))
}

func flagsOf(k kind) byte {
	if k == pubrel {
		return 2
	}
	return 0
}

// prefixed is text behind its length.
func prefixed(text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
}
