package dhcp4

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Ports of RFC 2131 §4.1.
const (
	serverPort = 67
	clientPort = 68
)

const (
	ipHeader  = 20
	udpHeader = 8
	udp       = 17
)

var (
	anyAddr       = netip.IPv4Unspecified()
	broadcastAddr = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// wrap puts a message into UDP and IPv4, from the client's port to the server's.
func wrap(payload []byte, from, to netip.Addr) []byte {
	size := ipHeader + udpHeader + len(payload)
	b := make([]byte, ipHeader+udpHeader, size)
	ip, datagram := b[:ipHeader], b[ipHeader:]
	src, dst := from.As4(), to.As4()

	ip[0] = 4<<4 | ipHeader/4
	ip[1] = 0x10 // low delay, as DHCP clients are used to say
	binary.BigEndian.PutUint16(ip[2:], uint16(size))
	ip[6] = 0x40 // do not fragment
	ip[8] = 64   // hops
	ip[9] = udp
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[10:], ^sum(0, ip))

	length := uint16(udpHeader + len(payload))
	binary.BigEndian.PutUint16(datagram[0:], clientPort)
	binary.BigEndian.PutUint16(datagram[2:], serverPort)
	binary.BigEndian.PutUint16(datagram[4:], length)
	pseudo := sum(uint32(udp)+uint32(length), ip[12:20])
	check := ^sum(uint32(sum(uint32(pseudo), datagram)), payload)
	if check == 0 {
		check = 0xffff // 0 says that there is no checksum
	}
	binary.BigEndian.PutUint16(datagram[6:], check)
	return append(b, payload...)
}

// sum is the ones' complement sum of RFC 1071.
func sum(start uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		start += uint32(b[0])<<8 | uint32(b[1])
		start = start&0xffff + start>>16
	}
	if len(b) == 1 {
		start += uint32(b[0]) << 8
	}
	start = start&0xffff + start>>16
	return uint16(start&0xffff + start>>16)
}

var errForeign = errors.New("not a DHCP message to a client")

// unwrap returns the payload of a packet from a DHCP server, and where it came
// from. The UDP checksum is not checked: on virtual links and with offloading
// the kernel hands packets on before it is filled in.
func unwrap(b []byte) (payload []byte, from netip.Addr, err error) {
	if len(b) < ipHeader || b[0]>>4 != 4 || b[9] != udp {
		return nil, from, errForeign
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	fragment := binary.BigEndian.Uint16(b[6:]) & 0x3fff // more fragments, or not the first
	if header < ipHeader || total > len(b) || total < header+udpHeader || fragment != 0 || sum(0, b[:header]) != 0xffff {
		return nil, from, errForeign
	}
	datagram := b[header:total]
	length := int(binary.BigEndian.Uint16(datagram[4:]))
	if binary.BigEndian.Uint16(datagram) != serverPort || binary.BigEndian.Uint16(datagram[2:]) != clientPort ||
		length < udpHeader || length > len(datagram) {
		return nil, from, errForeign
	}
	return datagram[udpHeader:length], netip.AddrFrom4([4]byte(b[12:])), nil
}
