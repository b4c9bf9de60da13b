package wire

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Types and classes of records, as far as a responder handles them.
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypeSOA   = 6
	TypePTR   = 12
	TypeMX    = 15
	TypeTXT   = 16
	TypeRP    = 17
	TypeAFSDB = 18
	TypeRT    = 21
	TypePX    = 26
	TypeAAAA  = 28
	TypeSRV   = 33
	TypeKX    = 36
	TypeDNAME = 39
	TypeOPT   = 41
	TypeNSEC  = 47
	TypeANY   = 255

	ClassIN  = 1
	ClassANY = 255
)

// Bits of the header's flags (RFC 6762 §18).
const (
	FlagResponse      = 1 << 15
	FlagAuthoritative = 1 << 10
	FlagTruncated     = 1 << 9
	maskOpcode        = 0xf << 11
	maskRcode         = 0xf
)

// topBit of a class is the cache-flush bit of a record (RFC 6762 §10.2) and
// the unicast-response bit of a question (§5.4).
const topBit = 1 << 15

// headerLen is what every message begins with.
const headerLen = 12

// maxHops is how many pointers one name may go through. Nobody's compression
// needs more than a few; each costs time, and a long packet has many names.
const maxHops = 32

// ErrMessage says that bytes are no DNS message.
var ErrMessage = errors.New("malformed DNS message")

// A Question asks for the records of a name.
type Question struct {
	Name    []byte // as sent, in wire form
	Key     []byte // folded
	Type    uint16
	Class   uint16
	Unicast bool // the unicast-response bit
}

// A Record is a resource record of a received message.
type Record struct {
	Key   []byte // the folded name
	Type  uint16
	Class uint16
	Flush bool // the cache-flush bit
	TTL   uint32

	start, end int // of the data, in the message
}

// A Message is a received one. Its zero value is ready for [Message.Unpack],
// and is meant to be used again and again: what the fields point to is valid
// until the next Unpack.
type Message struct {
	ID          uint16
	Flags       uint16
	Questions   []Question
	Answers     []Record
	Authorities []Record
	Additionals []Record

	raw   []byte
	arena []byte
}

// Response says whether the message is an answer.
func (m *Message) Response() bool { return m.Flags&FlagResponse != 0 }

// Truncated says whether more known answers follow (RFC 6762 §7.2).
func (m *Message) Truncated() bool { return m.Flags&FlagTruncated != 0 }

// Plain says whether opcode and rcode are zero; messages where they are not
// must be ignored silently (RFC 6762 §18.3, §18.11).
func (m *Message) Plain() bool { return m.Flags&(maskOpcode|maskRcode) == 0 }

// Unpack reads a message. The bytes must stay unchanged while it is used.
// Data of records is not looked at until [Message.Data] asks for it.
func (m *Message) Unpack(b []byte) error {
	m.reset(b)
	if len(b) < headerLen {
		return ErrMessage
	}
	m.ID = binary.BigEndian.Uint16(b)
	m.Flags = binary.BigEndian.Uint16(b[2:])
	off := headerLen
	var err error
	for range binary.BigEndian.Uint16(b[4:]) {
		if off, err = m.question(off); err != nil {
			return err
		}
	}
	for i, section := range []*[]Record{&m.Answers, &m.Authorities, &m.Additionals} {
		for range binary.BigEndian.Uint16(b[6+2*i:]) {
			if off, err = m.record(off, section); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Message) reset(b []byte) {
	m.raw = b
	m.arena = m.arena[:0]
	m.Questions = m.Questions[:0]
	m.Answers = m.Answers[:0]
	m.Authorities = m.Authorities[:0]
	m.Additionals = m.Additionals[:0]
}

func (m *Message) question(off int) (int, error) {
	name, off, err := m.name(off)
	if err != nil || off+4 > len(m.raw) {
		return 0, ErrMessage
	}
	class := binary.BigEndian.Uint16(m.raw[off+2:])
	m.Questions = append(m.Questions, Question{
		Name: name, Key: m.folded(name),
		Type:    binary.BigEndian.Uint16(m.raw[off:]),
		Class:   class &^ topBit,
		Unicast: class&topBit != 0,
	})
	return off + 4, nil
}

func (m *Message) record(off int, section *[]Record) (int, error) {
	name, off, err := m.name(off)
	if err != nil || off+10 > len(m.raw) {
		return 0, ErrMessage
	}
	fold(name)
	b := m.raw[off:]
	class := binary.BigEndian.Uint16(b[2:])
	start := off + 10
	end := start + int(binary.BigEndian.Uint16(b[8:]))
	if end > len(m.raw) {
		return 0, ErrMessage
	}
	*section = append(*section, Record{
		Key: name, Type: binary.BigEndian.Uint16(b),
		Class: class &^ topBit, Flush: class&topBit != 0,
		TTL: binary.BigEndian.Uint32(b[4:]), start: start, end: end,
	})
	return end, nil
}

// name reads a possibly compressed name and returns it uncompressed, with the
// offset of what follows it. Pointers may only go back, each further than the
// one before, so that no message can make it loop, and not too often.
func (m *Message) name(off int) (name []byte, next int, err error) {
	begin := len(m.arena)
	floor := off
	hops := 0
	for {
		if off >= len(m.raw) {
			return nil, 0, ErrMessage
		}
		c := int(m.raw[off])
		switch {
		case c == 0:
			m.arena = append(m.arena, 0)
			if next == 0 {
				next = off + 1
			}
			return m.arena[begin:len(m.arena):len(m.arena)], next, nil
		case c <= MaxLabel:
			end := off + 1 + c
			if end > len(m.raw) || len(m.arena)-begin+1+c >= MaxName {
				return nil, 0, ErrMessage
			}
			m.arena = append(m.arena, m.raw[off:end]...)
			off = end
		case c >= 0xc0:
			if off+1 >= len(m.raw) {
				return nil, 0, ErrMessage
			}
			if next == 0 {
				next = off + 2
			}
			off = c&0x3f<<8 | int(m.raw[off+1])
			if hops++; off >= floor || off < headerLen || hops > maxHops {
				return nil, 0, ErrMessage
			}
			floor = off
		default: // 0x40 and 0x80 are not in use
			return nil, 0, ErrMessage
		}
	}
}

// folded returns name in lower case: itself if it is so already.
func (m *Message) folded(name []byte) []byte {
	if slices.ContainsFunc(name, isUpper) {
		begin := len(m.arena)
		m.arena = append(m.arena, name...)
		key := m.arena[begin:len(m.arena):len(m.arena)]
		fold(key)
		return key
	}
	return name
}

// UDPSize returns what an OPT record says that its sender can take. Its class
// holds that number (RFC 6891 §6.1.2), which may have the top bit set.
func (r *Record) UDPSize() uint16 {
	if r.Flush {
		return r.Class | topBit
	}
	return r.Class
}
