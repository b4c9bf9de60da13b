package wire

import "encoding/binary"

// A Section is one of the three that hold records.
type Section int

// The sections, in the order in which they must be filled.
const (
	Answer Section = iota + 1
	Authority
	Additional
)

// A Builder writes one message after the other into the same buffer. Call
// [Builder.Reset] first, then add questions and records in the order of the
// sections, then take [Builder.Bytes].
type Builder struct {
	buf    []byte
	limit  int
	legacy bool
	// suffixes are the offsets at which a name, or the rest of one, was
	// written; those are what later names can point to.
	suffixes []uint16
}

// Reset begins a message of at most limit bytes.
func (b *Builder) Reset(id, flags uint16, limit int) {
	b.buf = append(b.buf[:0], make([]byte, headerLen)...)
	b.suffixes = b.suffixes[:0]
	b.limit = limit
	b.legacy = false
	binary.BigEndian.PutUint16(b.buf, id)
	binary.BigEndian.PutUint16(b.buf[2:], flags)
}

// Legacy makes the message readable for resolvers of unicast DNS: names in the
// data of SRV and NSEC records are not compressed (RFC 6762 §18.14).
func (b *Builder) Legacy() { b.legacy = true }

// Bytes returns the message, valid until the next Reset.
func (b *Builder) Bytes() []byte { return b.buf }

// Empty says whether nothing was added since Reset.
func (b *Builder) Empty() bool { return len(b.buf) == headerLen }

// A Mark is a place in a message, to go back to.
type Mark struct {
	length, suffixes int
	counts           [8]byte
}

// Mark returns where the message ends now.
func (b *Builder) Mark() Mark {
	return Mark{len(b.buf), len(b.suffixes), [8]byte(b.buf[4:headerLen])}
}

// Rewind takes back what was added since the mark.
func (b *Builder) Rewind(m Mark) {
	b.buf = b.buf[:m.length]
	b.suffixes = b.suffixes[:m.suffixes]
	copy(b.buf[4:], m.counts[:])
}

// SetID sets the identifier of the message.
func (b *Builder) SetID(id uint16) { binary.BigEndian.PutUint16(b.buf, id) }

// SetFlags adds flags to the header.
func (b *Builder) SetFlags(flags uint16) {
	binary.BigEndian.PutUint16(b.buf[2:], binary.BigEndian.Uint16(b.buf[2:])|flags)
}

// Question adds a question and says whether it fitted. The class is written as
// it is, with the unicast-response bit if it has one.
func (b *Builder) Question(name Name, typ, class uint16) bool {
	length, suffixes := len(b.buf), len(b.suffixes)
	b.name(name)
	b.buf = binary.BigEndian.AppendUint16(b.buf, typ)
	b.buf = binary.BigEndian.AppendUint16(b.buf, class)
	return b.keep(0, length, suffixes)
}

// Record adds a record with uncompressed data and says whether it fitted. The
// class is written as it is, with the cache-flush bit if it has one.
func (b *Builder) Record(s Section, name Name, typ, class uint16, ttl uint32, data []byte) bool {
	length, suffixes := len(b.buf), len(b.suffixes)
	b.name(name)
	b.buf = binary.BigEndian.AppendUint16(b.buf, typ)
	b.buf = binary.BigEndian.AppendUint16(b.buf, class)
	b.buf = binary.BigEndian.AppendUint32(b.buf, ttl)
	b.buf = append(b.buf, 0, 0)
	start := len(b.buf)
	b.data(typ, data)
	binary.BigEndian.PutUint16(b.buf[start-2:], uint16(len(b.buf)-start))
	return b.keep(s, length, suffixes)
}

// keep counts what was added, or takes it back if it is too long.
func (b *Builder) keep(s Section, length, suffixes int) bool {
	if len(b.buf) > b.limit {
		b.buf = b.buf[:length]
		b.suffixes = b.suffixes[:suffixes]
		return false
	}
	count := b.buf[4+2*s:]
	binary.BigEndian.PutUint16(count, binary.BigEndian.Uint16(count)+1)
	return true
}

func (b *Builder) data(typ uint16, data []byte) {
	prefix, names := layout(typ)
	if names != 1 || b.legacy && typ != TypePTR && typ != TypeCNAME {
		b.buf = append(b.buf, data...)
		return
	}
	b.buf = append(b.buf, data[:prefix]...)
	end := prefix
	for data[end] != 0 {
		end += 1 + int(data[end])
	}
	b.name(Name(data[prefix : end+1]))
	b.buf = append(b.buf, data[end+1:]...)
}

// name writes a name, ending it with a pointer to where the rest of it was
// written before. Only the same spelling is pointed to: the case is kept.
func (b *Builder) name(n Name) {
	before := b.suffixes // not those of this very name, which has no end yet
	for len(n) > 1 {
		for _, off := range before {
			if b.is(int(off), n) {
				b.buf = append(b.buf, 0xc0|byte(off>>8), byte(off))
				return
			}
		}
		if len(b.buf) < 0x4000 {
			b.suffixes = append(b.suffixes, uint16(len(b.buf)))
		}
		label := 1 + int(n[0])
		b.buf = append(b.buf, n[:label]...)
		n = n[label:]
	}
	b.buf = append(b.buf, 0)
}

// is says whether the name written at off is n.
func (b *Builder) is(off int, n Name) bool {
	for {
		c := int(b.buf[off])
		if c >= 0xc0 {
			off = c&0x3f<<8 | int(b.buf[off+1])
			continue
		}
		if c != int(n[0]) {
			return false
		}
		if c == 0 {
			return true
		}
		if string(b.buf[off+1:off+1+c]) != string(n[1:1+c]) {
			return false
		}
		off += 1 + c
		n = n[1+c:]
	}
}
