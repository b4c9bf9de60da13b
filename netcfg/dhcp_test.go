package netcfg

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

// From carrier to a checked address takes less than half a second (a whole one
// is allowed to a machine that is busy otherwise), and the kernel, the resolver
// file and the name server know it all. The test is not parallel, as it
// measures.
func TestDnsmasq(t *testing.T) {
	n := newCable(t)
	n.dnsmasq("dhcp-host=" + deviceMAC + ",10.82.1.22")
	n.lan.Down("br0")
	d := n.start(Settings{Mode: ModeDHCP})
	netnstest.Eventually(t, soon, "the interface to be up", func() bool { return d.report().Up })
	n.lan.Up("br0")
	start := time.Now()
	d.has("10.82.1.22/24", soon)
	took := time.Since(start)
	t.Logf("carrier to address: %v", took)
	if took > time.Second {
		t.Errorf("from carrier to an address took %v", took)
	}
	d.expectKernel(`
	addr 10.82.1.22/24 brd 10.82.1.255 scope global dynamic eth0\
	route default via 10.82.1.1 dev eth0 proto 161 src 10.82.1.22 metric 100
	route 10.82.1.0/24 dev eth0 proto kernel scope link src 10.82.1.22
	`)
	netnstest.Eventually(t, soon, "the resolver file", func() bool {
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

// A late server: a link-local address first, and the leased one when it comes.
func TestLinkLocalUntilTheServerComes(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	start := time.Now()
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("169.254.*", 13*time.Second)
	took := time.Since(start)
	t.Logf("link-local after %v", took)
	if took > 12*time.Second {
		t.Errorf("a link-local address took %v", took)
	}
	if routes := n.dev.Run("ip", "route"); !strings.Contains(routes, "169.254.0.0/16 dev eth0 proto 162 scope link src 169.254.") || !strings.Contains(routes, "metric 1000") {
		t.Errorf("routes:\n%s", routes)
	}
	n.dnsmasq()
	came := time.Now()
	d.has("10.82.1.1[0-9][0-9]:24", 20*time.Second)
	t.Logf("late server found after %v", time.Since(came))
	netnstest.Eventually(t, 3*time.Second, "the link-local address to go", func() bool { return len(d.addrs()) == 1 })
}

func TestLinkLocalAlways(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dnsmasq()
	d := n.start(Settings{Mode: ModeDHCP, LinkLocal: LinkLocalAlways})
	d.has("10.82.1.1[0-9][0-9]:24", soon)
	d.has("169.254.*", 9*time.Second)
	d.has("10.82.1.1[0-9][0-9]:24", soon)
}

// A server that gives an address in use hears of it, and we get another.
func TestConflictOnDnsmasq(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.neighbour("10.82.1.100/24")
	server := n.dnsmasq("dhcp-range=10.82.1.100,10.82.1.101,255.255.255.0,2m", "dhcp-sequential-ip")
	d := n.start(Settings{Mode: ModeDHCP})
	netnstest.Eventually(t, 10*time.Second, "an address", func() bool { return len(d.addrs()) == 1 })
	if got := d.addrs()[0]; got == "10.82.1.100/24" {
		t.Errorf("took %s, which is in use", got)
	}
	server.WaitOutput("DHCPDECLINE(br0) 10.82.1.100", soon)
}

// After a crash the same address is asked for again; meanwhile it stays.
func TestCrash(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	server := n.dnsmasq()
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.1[0-9][0-9]:24", soon)
	addr := d.addrs()[0]
	netnstest.Eventually(t, soon, "the lease to be saved", func() bool {
		_, err := os.Stat(d.state + "/lease-eth0.json")
		return err == nil
	})
	d.Kill()
	if got := d.addrs(); len(got) != 1 || got[0] != addr {
		t.Errorf("after the crash: %v", got)
	}
	discovers := strings.Count(server.Output(), "DHCPDISCOVER")
	again := n.start(Settings{Mode: ModeDHCP}, d)
	again.WaitOutput("to=bound", soon)
	if got := again.addrs(); len(got) != 1 || got[0] != addr {
		t.Errorf("after the restart: %v", got)
	}
	if strings.Count(server.Output(), "DHCPDISCOVER") != discovers {
		t.Error("it asked for a new address")
	}
	if strings.Contains(again.Output(), "- address") {
		t.Error("the address went in between")
	}
}

func TestHotplug(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dnsmasq()
	n.lan.Delete("port0")
	d := n.start(Settings{Mode: ModeDHCP})
	d.complains("the interface eth0 is not there")
	for range 2 {
		n.plugIn()
		n.lan.Enslave("br0", "port0")
		d.has("10.82.1.1[0-9][0-9]:24", soon)
		n.lan.Delete("port0")
		netnstest.Eventually(t, soon, "it to be noticed", func() bool { return d.report().Interface == "" })
	}
}

// A cable that is pulled takes nothing away; plugged into another network the
// old address goes at once.
func TestAnotherNetwork(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dnsmasq()
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.1[0-9][0-9]:24", soon)
	addr := d.addrs()[0]
	n.lan.Down("port0")
	netnstest.Eventually(t, soon, "no carrier", func() bool { return !d.report().Carrier })
	d.has(addr, soon)

	other := &network{t: t, lan: netnstest.New(t), dev: n.dev}
	netnstest.Veth(t, other.lan, "keep0", netnstest.New(t), "eth0")
	other.lan.Bridge("br0", "keep0")
	other.lan.Addr("br0", "10.83.1.1/24")
	other.dnsmasq("dhcp-range=10.83.1.100,10.83.1.150,255.255.255.0,2m")
	other.lan.Take(n.lan, "port0")
	other.lan.Enslave("br0", "port0")
	d.has("10.83.1.1[0-9][0-9]:24", soon)
	d.lacks(addr, soon)
}

func TestReleaseOnStop(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	server := n.dnsmasq()
	d := n.start(Settings{Mode: ModeDHCP, ReleaseOnStop: true})
	d.has("10.82.1.1[0-9][0-9]:24", soon)
	d.Stop()
	server.WaitOutput("DHCPRELEASE(br0) 10.82.1.1", soon)
	if got := d.addrs(); len(got) != 0 {
		t.Errorf("after the release: %v", got)
	}
	if code := d.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// After a sleep the address is asked for again at once; a lease that has ended
// meanwhile is not used any more.
func TestSleep(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	server := n.dnsmasq("dhcp-host=" + deviceMAC + ",10.82.1.22")
	d := n.start(Settings{Mode: ModeDHCP})
	d.WaitOutput("to=bound", soon)
	requests := strings.Count(server.Output(), "DHCPREQUEST(br0)")
	d.tell("sleep 30s")
	netnstest.Eventually(t, soon, "the question whether it still holds", func() bool {
		return strings.Contains(d.Output(), "to=init-reboot") && strings.Count(server.Output(), "DHCPREQUEST(br0)") > requests
	})
	if strings.Contains(d.Output(), "- address") {
		t.Error("the address went in between")
	}
	d.has("10.82.1.22/24", soon)

	server.Stop()
	d.tell("sleep 1h")
	d.lacks("10.82.1.22/24", soon)
}

func TestCommands(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	server := n.dnsmasq()
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.1[0-9][0-9]:24", soon)
	requests := strings.Count(server.Output(), "DHCPREQUEST(br0)")
	d.tell("renew")
	netnstest.Eventually(t, soon, "the renewal", func() bool {
		return strings.Count(server.Output(), "DHCPREQUEST(br0)") > requests
	})
	d.tell("release")
	server.WaitOutput("DHCPRELEASE(br0) 10.82.1.1", soon)
	if got := d.addrs(); len(got) != 0 {
		t.Errorf("after the release: %v", got)
	}
	d.tell("renew")
	d.has("10.82.1.1[0-9][0-9]:24", soon)
	d.tell(`reconfigure {"interface":"eth0","mode":"dhcp"}`)
	server.WaitOutput("client provides name: renamed22", soon)
}

// Everything that a lease can carry gets to the kernel and the resolver file,
// and leaves with it.
func TestOptionsOfALease(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dnsmasq("dhcp-rapid-commit", "dhcp-option=26,1400", "dhcp-option=119,eng.lan,lan", "dhcp-host="+deviceMAC+",10.82.1.22",
		"dhcp-option=121,10.83.0.0/16,10.82.1.254,192.168.7.0/24,0.0.0.0,0.0.0.0/0,10.82.1.1")
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.22/24", soon)
	d.expectKernel(`
	addr 10.82.1.22/24 brd 10.82.1.255 scope global dynamic eth0\
	route default via 10.82.1.1 dev eth0 proto 161 src 10.82.1.22 metric 100
	route 10.82.1.0/24 dev eth0 proto kernel scope link src 10.82.1.22
	route 10.83.0.0/16 via 10.82.1.254 dev eth0 proto 161 src 10.82.1.22 metric 100
	route 192.168.7.0/24 dev eth0 proto 161 scope link src 10.82.1.22 metric 100
	`)
	if link := n.dev.Run("ip", "link", "show", "eth0"); !strings.Contains(link, "mtu 1400") {
		t.Errorf("link:\n%s", link)
	}
	netnstest.Eventually(t, soon, "the resolver file", func() bool {
		text, _ := os.ReadFile(d.resolv)
		return string(text) == resolverMark+"\nsearch eng.lan lan\nnameserver 10.82.1.1\n"
	})
	d.tell("release")
	d.expectKernel("")
	netnstest.Eventually(t, soon, "the MTU of before", func() bool {
		return strings.Contains(n.dev.Run("ip", "link", "show", "eth0"), "mtu 1500")
	})
	netnstest.Eventually(t, soon, "the resolver file of before, which is none", func() bool {
		_, err := os.Stat(d.resolv)
		return errors.Is(err, os.ErrNotExist)
	})
}
