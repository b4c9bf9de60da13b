package netcfg

import (
	"os"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

// From carrier to a checked address takes less than half a second, and the
// kernel, the resolver file and the name server know it all.
func TestDnsmasq(t *testing.T) {
	t.Parallel()
	n := newCable(t)
	n.dnsmasq("dhcp-host=" + deviceMAC + ",10.82.1.22")
	n.lan.Down("br0")
	d := n.start(Settings{Mode: ModeDHCP})
	netnstest.Eventually(t, 5*time.Second, "the interface to be up", func() bool { return d.report().Up })
	n.lan.Up("br0")
	start := time.Now()
	d.has("10.82.1.22/24", 5*time.Second)
	took := time.Since(start)
	t.Logf("carrier to address: %v", took)
	if took > 500*time.Millisecond {
		t.Errorf("from carrier to an address took %v", took)
	}
	d.expectKernel(`
	addr 10.82.1.22/24 brd 10.82.1.255 scope global dynamic eth0\
	route default via 10.82.1.1 dev eth0 proto 161 src 10.82.1.22 metric 100
	route 10.82.1.0/24 dev eth0 proto kernel scope link src 10.82.1.22
	`)
	netnstest.Eventually(t, 3*time.Second, "the resolver file", func() bool {
		text, _ := os.ReadFile(d.resolv)
		return string(text) == resolverMark+"\nsearch lan\nnameserver 10.82.1.1\n"
	})
	netnstest.Eventually(t, 10*time.Second, "the registration", func() bool {
		r := d.report().Registration
		return r.State == "yes" && r.Name == "server22.lan" && r.Reverse == "server22.lan"
	})
	r := d.report()
	if r.DHCP == nil || r.DHCP.State != "bound" || r.ClientID != "01028200000002" || !strings.Contains(r.Reservation.Dnsmasq, "02:82:00:00:00:02,server22,10.82.1.22") {
		t.Errorf("report %+v", r)
	}
}
