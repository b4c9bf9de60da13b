package acd

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// MAC is an Ethernet hardware address.
type MAC = [6]byte

// Broadcast is the hardware address of everybody.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Op says what an ARP packet wants.
type Op uint16

// The operations of RFC 826.
const (
	Request Op = 1
	Reply   Op = 2
)

// Packet is an ARP packet for IPv4 over Ethernet (RFC 826).
type Packet struct {
	Op        Op
	SenderMAC MAC
	Sender    netip.Addr // 0.0.0.0 in a probe
	TargetMAC MAC
	Target    netip.Addr
}

// packetSize is the length of ARP for Ethernet and IPv4, without padding.
const packetSize = 28

// header is hardware type Ethernet, protocol type IPv4, and their sizes.
var header = [6]byte{0, 1, 8, 0, 6, 4}

var errNotARP = errors.New("not ARP for IPv4 over Ethernet")

// Parse reads what follows the Ethernet header. Padding is ignored.
func Parse(b []byte) (Packet, error) {
	if len(b) < packetSize || [6]byte(b) != header {
		return Packet{}, errNotARP
	}
	return Packet{
		Op:        Op(binary.BigEndian.Uint16(b[6:])),
		SenderMAC: MAC(b[8:]),
		Sender:    netip.AddrFrom4([4]byte(b[14:])),
		TargetMAC: MAC(b[18:]),
		Target:    netip.AddrFrom4([4]byte(b[24:])),
	}, nil
}

// Bytes is the packet as it follows the Ethernet header. The addresses must be
// IPv4.
func (p Packet) Bytes() []byte {
	sender, target := p.Sender.As4(), p.Target.As4()
	b := make([]byte, 0, packetSize)
	b = append(b, header[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(p.Op))
	b = append(b, p.SenderMAC[:]...)
	b = append(b, sender[:]...)
	b = append(b, p.TargetMAC[:]...)
	return append(b, target[:]...)
}

// probe asks for an address without claiming one (RFC 5227 §1.1).
func probe(mac MAC, addr netip.Addr) Packet {
	return Packet{Op: Request, SenderMAC: mac, Sender: netip.IPv4Unspecified(), Target: addr}
}

// announcement claims an address (RFC 5227 §1.1).
func announcement(mac MAC, addr netip.Addr) Packet {
	return Packet{Op: Request, SenderMAC: mac, Sender: addr, Target: addr}
}
