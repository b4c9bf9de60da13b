package mqtt

import (
	"bufio"
	"encoding/binary"
	"io"
	"time"
)

// What a test says and hears on the wire, written down apart from the library
// that is tested with it.

// kind is the type of a control packet (MQTT 5 §2.1.2).
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

// Codes of CONNACK and SUBACK (MQTT 3.1.1 §3.2.2.3, §3.9.3).
const (
	accepted    = 0
	unavailable = 3
	notAllowed  = 5
	failed      = 0x80
)

// hello is what a client says of itself.
type hello struct {
	client    string
	keepAlive time.Duration
	will      *message
	password  string
}

func helloPacket(name string, more ...func(*hello)) []byte {
	h := hello{client: name}
	for _, f := range more {
		f(&h)
	}
	flags, payload := byte(1<<1), prefixed(name) // a clean session
	if h.will != nil {
		flags |= 1 << 2
		payload = append(payload, prefixed(h.will.topic)...)
		payload = append(payload, prefixed(string(h.will.payload))...)
	}
	if h.password != "" {
		flags |= 1<<6 | 1<<7
		payload = append(append(payload, prefixed("me")...), prefixed(h.password)...)
	}
	seconds := binary.BigEndian.AppendUint16(nil, uint16(h.keepAlive/time.Second))
	return appendPacket(nil, connect, 0, prefixed("MQTT"), []byte{4, flags}, seconds, payload)
}

// hello5 is a CONNECT of MQTT 5 without properties.
func hello5(name string) []byte {
	return appendPacket(nil, connect, 0, prefixed("MQTT"), []byte{5, 2, 0, 0, 0}, prefixed(name))
}

// subscribePacket asks for QoS 1.
func subscribePacket(id byte, filters ...string) []byte {
	body := []byte{0, id}
	for _, f := range filters {
		body = append(append(body, prefixed(f)...), 1)
	}
	return appendPacket(nil, subscribe, 2, body)
}

func publishPacket(topic, payload string, flags byte, id ...byte) []byte {
	return appendPacket(nil, publish, flags, prefixed(topic), id, []byte(payload))
}

// appendPacket writes a packet with its length.
func appendPacket(dst []byte, k kind, flags byte, rest ...[]byte) []byte {
	n := 0
	for _, part := range rest {
		n += len(part)
	}
	dst = binary.AppendUvarint(append(dst, byte(k)<<4|flags), uint64(n))
	for _, part := range rest {
		dst = append(dst, part...)
	}
	return dst
}

// prefixed is text behind its length.
func prefixed(text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
}

// packet is a control packet: its fixed header and the rest.
type packet struct {
	kind  kind
	flags byte
	body  []byte
}

func readPacket(r *bufio.Reader) (packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return packet{}, err
	}
	p := packet{kind: kind(first >> 4), flags: first & 0xf, body: make([]byte, n)}
	_, err = io.ReadFull(r, p.body)
	return p, err
}
