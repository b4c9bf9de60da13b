package nbns

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
)

// Values of the protocol (RFC 1002 §4.2.1).
const (
	headerSize = 12
	nameSize   = 34 // the encoded name with its length and the root
	typeName   = 0x0020
	typeStatus = 0x0021
	classIN    = 1

	flagResponse = 0x8000
	maskOpcode   = 0x7800
	// flagsReply are those of a positive response: AA and RD (§4.2.13).
	flagsReply = 0x8500

	ttl        = 300    // seconds
	nameActive = 0x0400 // in NAME_FLAGS of a status (§4.2.18)

	maxName = 15 // characters
)

// suffixes are the services of a host that are asked for: the workstation and
// the file server, which is what a name in Explorer means.
var suffixes = []byte{0x00, 0x20}

// reply composes the response to a packet, nil if there is none.
func reply(packet []byte, name string, addresses []netip.Addr) []byte {
	if len(packet) < headerSize+nameSize+4 || len(name) > maxName || name == "" || len(addresses) == 0 {
		return nil
	}
	flags, questions := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint16(packet[4:])
	if flags&(flagResponse|maskOpcode) != 0 || questions != 1 {
		return nil
	}
	encoded := packet[headerSize : headerSize+nameSize]
	asked, suffix, ok := decode(encoded)
	rest := packet[headerSize+nameSize:]
	typ, class := binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	if !ok || class != classIN {
		return nil
	}
	own := strings.EqualFold(asked, name)
	switch {
	case typ == typeName && own && slices.Contains(suffixes, suffix):
		return record(packet, encoded, typ, ttl, locations(addresses))
	case typ == typeStatus && (own || asked == "*"):
		return record(packet, encoded, typ, 0, status(name))
	}
	return nil
}

// decode reads a name of 15 characters and a suffix, each byte as two letters
// from A to P (RFC 1001 §14.1); names with a scope are not ours.
func decode(b []byte) (name string, suffix byte, ok bool) {
	if b[0] != 32 || b[33] != 0 {
		return "", 0, false
	}
	var plain [16]byte
	for i := range plain {
		high, low := b[1+2*i]-'A', b[2+2*i]-'A'
		if high > 15 || low > 15 {
			return "", 0, false
		}
		plain[i] = high<<4 | low
	}
	return strings.TrimRight(string(plain[:maxName]), " \x00"), plain[maxName], true
}

// record is a response with one record.
func record(query, encoded []byte, typ uint16, ttl uint32, data []byte) []byte {
	b := append([]byte(nil), query[:2]...)
	for _, field := range []uint16{flagsReply, 0, 1, 0, 0} {
		b = binary.BigEndian.AppendUint16(b, field)
	}
	b = append(b, encoded...)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, classIN)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// locations are the addresses of a unique name of a broadcast node.
func locations(addresses []netip.Addr) (data []byte) {
	for _, addr := range addresses {
		data = append(append(data, 0, 0), addr.AsSlice()...)
	}
	return data
}

// status lists our names, with statistics that are all zero.
func status(name string) []byte {
	const statistics = 46
	data := []byte{byte(len(suffixes))}
	for _, suffix := range suffixes {
		padded := strings.ToUpper(name) + strings.Repeat(" ", maxName-len(name))
		data = append(append(data, padded...), suffix)
		data = binary.BigEndian.AppendUint16(data, nameActive)
	}
	return append(data, make([]byte, statistics)...)
}
