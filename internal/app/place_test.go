package app

import (
	"net/netip"
	"slices"
	"testing"

	"server22.local/appliance/netcfg"
)

// The first address is what the QR code carries.
func TestURLsBestFirst(t *testing.T) {
	s := site{
		names:     []string{"server22.local"},
		listeners: []netip.AddrPort{netip.MustParseAddrPort("[::]:80")},
		snapshot: &netcfg.Snapshot{Links: []netcfg.Link{{
			Name: "eth0", Up: true,
			Addrs: []netcfg.Addr{
				{Prefix: netip.MustParsePrefix("169.254.10.89/16")},
				{Prefix: netip.MustParsePrefix("fd00::22/64")},
				{Prefix: netip.MustParsePrefix("192.168.1.22/24")},
				{Prefix: netip.MustParsePrefix("fe80::1/64")},
			},
		}}},
	}
	want := []string{"http://server22.local/", "http://192.168.1.22/", "http://[fd00::22]/", "http://169.254.10.89/"}
	if got := s.urls(); !slices.Equal(got, want) {
		t.Errorf("urls = %q, want %q", got, want)
	}
}
