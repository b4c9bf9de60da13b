package netcfg

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

func staticSettings(addrs ...string) Settings {
	return Settings{Mode: ModeStatic, Static: Static{
		Addresses: prefixes(addrs...), Gateways: addresses("10.82.1.1"),
		DNS: addresses("10.82.1.1"), Search: []string{"lan"},
	}}
}

func TestStatic(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dev.Run("ip", "addr", "add", "10.99.0.1/24", "dev", "eth0") // somebody else's
	n.dev.Run("ip", "link", "set", "eth0", "up")
	n.dev.Run("ip", "route", "add", "192.168.99.0/24", "via", "10.99.0.2")
	settings := staticSettings("10.82.1.30/24", "fd82::30/64")
	settings.Static.Gateways = addresses("10.82.1.1", "fd82::1")
	settings.Static.Routes = []StaticRoute{{Dst: netip.MustParsePrefix("10.83.0.0/16"), Gateway: netip.MustParseAddr("10.82.1.254")}}
	settings.Static.MTU = 1400
	d := n.start(settings)
	const golden = `
	addr 10.99.0.1/24 scope global eth0\
	addr 10.82.1.30/24 brd 10.82.1.255 scope global eth0\
	route default via 10.82.1.1 dev eth0 proto 160 src 10.82.1.30 metric 100
	route 10.82.1.0/24 dev eth0 proto kernel scope link src 10.82.1.30
	route 10.83.0.0/16 via 10.82.1.254 dev eth0 proto 160 src 10.82.1.30 metric 100
	route 10.99.0.0/24 dev eth0 proto kernel scope link src 10.99.0.1
	route 192.168.99.0/24 via 10.99.0.2 dev eth0
	`
	d.expectKernel(golden)
	if six := n.dev.Run("ip", "-6", "route"); !strings.Contains(six, "default via fd82::1 dev eth0 proto 160 metric 100") {
		t.Errorf("routes of IPv6:\n%s", six)
	}
	if link := n.dev.Run("ip", "link", "show", "eth0"); !strings.Contains(link, "mtu 1400") {
		t.Errorf("link:\n%s", link)
	}
	if text, _ := os.ReadFile(d.resolv); string(text) != resolverMark+"\nsearch lan\nnameserver 10.82.1.1\n" {
		t.Errorf("resolver file:\n%s", text)
	}

	netnstest.Eventually(t, soon, "the end of duplicate address detection", func() bool {
		return !strings.Contains(n.dev.Run("ip", "-6", "addr"), "tentative")
	})

	// A second run finds everything as it should be.
	d.Stop()
	d.expectKernel(golden)
	monitor := n.dev.Daemon("ip", "monitor", "address", "route", "link")
	netnstest.Eventually(t, soon, "the monitor to listen", func() bool {
		n.dev.Run("ip", "addr", "change", "10.99.0.1/24", "dev", "eth0")
		return monitor.Output() != ""
	})
	again := n.start(settings, d)
	again.WaitOutput("carrier", soon)
	netnstest.Eventually(t, soon, "the check of the address", func() bool { return again.report().Configures })
	time.Sleep(500 * time.Millisecond)
	if out := again.Output(); strings.Contains(out, "network change") {
		t.Errorf("the second run changes something:\n%s", out)
	}
	for line := range strings.Lines(monitor.Output()) {
		if !strings.Contains(line, "10.99.0.1") && !strings.Contains(line, "lft") {
			t.Errorf("the kernel saw a change: %s", line)
		}
	}

	// After a crash another address is configured.
	again.Kill()
	changed := staticSettings("10.82.1.31/24")
	third := n.start(changed, d)
	third.expectKernel(`
	addr 10.99.0.1/24 scope global eth0\
	addr 10.82.1.31/24 brd 10.82.1.255 scope global eth0\
	route default via 10.82.1.1 dev eth0 proto 160 src 10.82.1.31 metric 100
	route 10.82.1.0/24 dev eth0 proto kernel scope link src 10.82.1.31
	route 10.99.0.0/24 dev eth0 proto kernel scope link src 10.99.0.1
	route 192.168.99.0/24 via 10.99.0.2 dev eth0
	`)
	netnstest.Eventually(t, soon, "the MTU and IPv6 of before", func() bool {
		link := n.dev.Run("ip", "addr", "show", "eth0")
		return strings.Contains(link, "mtu 1500") && !strings.Contains(link, "fd82::30")
	})
}

func TestDeletedByOthersComesBack(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	d := n.start(staticSettings("10.82.1.30/24"))
	const golden = `
	addr 10.82.1.30/24 brd 10.82.1.255 scope global eth0\
	route default via 10.82.1.1 dev eth0 proto 160 src 10.82.1.30 metric 100
	route 10.82.1.0/24 dev eth0 proto kernel scope link src 10.82.1.30
	`
	d.expectKernel(golden)
	for _, damage := range []string{
		"addr del 10.82.1.30/24 dev eth0", "route del default", "addr flush dev eth0", "link set eth0 down",
	} {
		n.dev.Run("ip", strings.Fields(damage)...)
		if damage == "link set eth0 down" {
			netnstest.Eventually(t, soon, "the link to be up again", func() bool {
				return n.dev.Interface("eth0").Flags&1 != 0
			})
		}
		d.expectKernel(golden)
	}
	n.dev.Run("ip", "route", "flush", "dev", "eth0") // with the kernel's own route
	d.expectKernel(strings.Replace(golden, "proto kernel", "proto 160", 1))
	_ = os.Remove(d.resolv)
	netnstest.Eventually(t, soon, "the resolver file", func() bool { _, err := os.Stat(d.resolv); return err == nil })
	writeFile(t, d.resolv, "nameserver 6.6.6.6\n")
	netnstest.Eventually(t, soon, "our resolver file", func() bool {
		text, _ := os.ReadFile(d.resolv)
		return strings.HasPrefix(string(text), resolverMark)
	})
}

// An address that another host has is not used; there is a link-local one
// meanwhile, and ours when the other has gone.
func TestStaticConflict(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	rival := n.neighbour("10.82.1.30/24")
	d := n.start(staticSettings("10.82.1.30/24"))
	d.complains("the address 10.82.1.30/24 is not used: 10.82.1.30 is in use by")
	d.has("169.254.*", 12*time.Second)
	if got := d.addrs(); len(got) != 1 {
		t.Errorf("addresses %v", got)
	}
	rival.DelAddr("eth0", "10.82.1.30/24")
	d.has("10.82.1.30/24", staticRetry+2*time.Second)
	if took := len(d.addrs()); took != 1 {
		netnstest.Eventually(t, 3*time.Second, "the link-local address to go", func() bool { return len(d.addrs()) == 1 })
	}
}
