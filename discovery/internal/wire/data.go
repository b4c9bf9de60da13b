package wire

import "bytes"

// layout says where domain names lie in the data of a record: names of them,
// after a prefix of that many bytes. Whatever follows is opaque.
func layout(typ uint16) (prefix, names int) {
	switch typ {
	case TypeNS, TypeCNAME, TypePTR, TypeDNAME, TypeNSEC:
		return 0, 1
	case TypeMX, TypeAFSDB, TypeRT, TypeKX:
		return 2, 1
	case TypeSRV:
		return 6, 1
	case TypeSOA, TypeRP:
		return 0, 2
	case TypePX:
		return 2, 2
	}
	return 0, 0
}

// fixed is how long the data of a record is, -1 if that depends.
func fixed(typ uint16) int {
	switch typ {
	case TypeA:
		return 4
	case TypeAAAA:
		return 16
	}
	return -1
}

// Data returns the data of one of the message's records with the names in it
// uncompressed, as RFC 6762 §8.2 compares them. Data that its type cannot have
// is an error.
func (m *Message) Data(r *Record) ([]byte, error) {
	if n := fixed(r.Type); n >= 0 && r.end-r.start != n {
		return nil, ErrMessage
	}
	prefix, names := layout(r.Type)
	if names == 0 {
		return m.raw[r.start:r.end], nil
	}
	if r.start+prefix > r.end {
		return nil, ErrMessage
	}
	// Names are read onto the end of the arena, so that writing the prefix
	// there first leaves the whole in one piece.
	begin := len(m.arena)
	m.arena = append(m.arena, m.raw[r.start:r.start+prefix]...)
	off := r.start + prefix
	for range names {
		var err error
		if _, off, err = m.name(off); err != nil || off > r.end {
			return nil, ErrMessage
		}
	}
	m.arena = append(m.arena, m.raw[off:r.end]...)
	return m.arena[begin:len(m.arena):len(m.arena)], nil
}

// SameData says whether two pieces of uncompressed data of one type say the
// same; the case of names in them does not matter (RFC 6762 §16).
func SameData(typ uint16, a, b []byte) bool {
	prefix, names := layout(typ)
	if names == 0 {
		return bytes.Equal(a, b)
	}
	if len(a) != len(b) || len(a) < prefix || !bytes.Equal(a[:prefix], b[:prefix]) {
		return false
	}
	for i := prefix; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if isUpper(c) {
		return c + 'a' - 'A'
	}
	return c
}
