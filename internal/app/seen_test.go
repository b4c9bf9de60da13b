package app

import (
	"net/netip"
	"strings"
	"testing"

	"server22.local/appliance/discovery/neighbour"
	"server22.local/appliance/netcfg"
)

func TestForOthers(t *testing.T) {
	for url, want := range map[string]bool{
		"http://server22.local:8080/": true, "http://192.168.1.2/": true, "http://[2001:db8::1]/": true,
		"http://127.0.0.1:8080/": false, "http://[::1]/": false, "http://localhost/": false, ":": false,
	} {
		if got := isForOthers(url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestPortHint(t *testing.T) {
	holders := []neighbour.Holder{{Port: 137, Network: "udp", Program: "nmbd"}, {Port: 5353, Network: "udp", Program: "avahi-daemon"}}
	for _, tt := range []struct {
		problem string
		holders []neighbour.Holder
		want    string
	}{
		{"listening: address already in use", holders, "avahi-daemon has port 5353"},
		{"listening: address already in use", nil, "ss -ulnp"},
		{"sending failed: network is unreachable", holders, "ip route get"},
	} {
		if got := portHint(tt.problem, tt.holders); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", tt.problem, got)
		}
	}
}

// What keeps a name from being found, as far as the interfaces show it.
func TestLinksWithoutNames(t *testing.T) {
	snapshot := &netcfg.Snapshot{
		Links: []netcfg.Link{
			{Index: 2, Name: "eth0", Up: true, Carrier: true},
			{Index: 3, Name: "wlan0", Up: true, Carrier: true, Multicast: true},
			{Index: 4, Name: "wg0", Up: true, Carrier: true, PointToPoint: true},
			{Index: 5, Name: "tun1", Up: true, Carrier: true, PointToPoint: true},
		},
		Routes: []netcfg.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Link: 3},
			{Dst: netip.MustParsePrefix("128.0.0.0/1"), Link: 4},
			{Dst: netip.MustParsePrefix("10.0.0.0/8"), Link: 5},
		},
	}
	if got := muteLinks(snapshot); len(got) != 1 || got[0].Subject != "name on eth0" || got[0].Hint != "ip link set eth0 multicast on" {
		t.Errorf("without multicast: %+v", got)
	}
	if got := tunnels(snapshot); len(got) != 1 || got[0].Subject != "name on wg0" {
		t.Errorf("tunnels: %+v", got)
	}
}
