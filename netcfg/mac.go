package netcfg

import (
	"fmt"
	"net"
)

// MAC is an Ethernet hardware address. The zero value means "none": loopback,
// tunnels, and links whose address has another length.
type MAC [6]byte

func macOf(hw net.HardwareAddr) (mac MAC) {
	if len(hw) == len(mac) {
		copy(mac[:], hw)
	}
	return mac
}

// HardwareAddr returns the address as package net has it, nil for none.
func (m MAC) HardwareAddr() net.HardwareAddr {
	if m == (MAC{}) {
		return nil
	}
	return m[:]
}

// String formats the address as "02:82:00:00:00:02", and none as "".
func (m MAC) String() string { return m.HardwareAddr().String() }

// MarshalText is String, so that JSON shows the address as people write it.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what net.ParseMAC reads; empty text is the zero value.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	hw, err := net.ParseMAC(string(text))
	if err != nil {
		return err
	}
	if len(hw) != len(m) {
		return fmt.Errorf("hardware address %q is not one of Ethernet", text)
	}
	*m = macOf(hw)
	return nil
}
