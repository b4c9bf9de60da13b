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

// A name must not lead to a link-local address that others with a lease, as
// ours, cannot reach.
func TestALinkLocalAddressIsNotPublishedBesideALease(t *testing.T) {
	addr := func(cidr string, origin netcfg.Origin) netcfg.Addr {
		return netcfg.Addr{Prefix: netip.MustParsePrefix(cidr), Protocol: int(origin)}
	}
	local, leased, static := addr("169.254.10.89/16", netcfg.FromLinkLocal), addr("192.168.1.22/24", netcfg.FromLease), addr("192.168.1.23/24", netcfg.FromSettings)
	for name, test := range map[string]struct{ addrs, want []netcfg.Addr }{
		"alone":           {[]netcfg.Addr{local}, []netcfg.Addr{local}},
		"beside a lease":  {[]netcfg.Addr{local, leased}, []netcfg.Addr{leased}},
		"beside a static": {[]netcfg.Addr{local, static}, []netcfg.Addr{local, static}},
	} {
		var want []netip.Prefix
		for _, a := range test.want {
			want = append(want, a.Prefix)
		}
		if got := publishable(test.addrs); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
