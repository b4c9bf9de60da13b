package netnstest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBridgedNamespacesReachEachOther(t *testing.T) {
	t.Parallel()
	lan, a, b := New(t), New(t), New(t)
	Veth(t, lan, "p0", a, "eth0")
	Veth(t, lan, "p1", b, "eth0")
	lan.Bridge("br0", "p0", "p1")
	a.Addr("eth0", "10.82.1.2/24")
	b.Addr("eth0", "10.82.1.3/24")
	b.Addr("eth0", "fd00::3/64")

	var server net.PacketConn
	b.Do(func() {
		var err error
		if server, err = net.ListenPacket("udp4", "10.82.1.3:7"); err != nil {
			t.Fatal(err)
		}
	})
	defer server.Close()
	var client net.Conn
	a.Do(func() {
		var err error
		if client, err = net.Dial("udp4", "10.82.1.3:7"); err != nil {
			t.Fatal(err)
		}
	})
	defer client.Close()

	// The sockets stay in their namespaces, from whichever thread they are used.
	fmt.Fprint(client, "hello")
	buf := make([]byte, 16)
	_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := server.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("read %q from %v: %v", buf[:n], from, err)
	}
	if got := b.Addrs("eth0", netlink.FAMILY_V4); len(got) != 1 || got[0] != "10.82.1.3/24" {
		t.Errorf("addresses of b are %v", got)
	}
}

func TestDoLeavesNoThreadBehind(t *testing.T) {
	t.Parallel()
	before, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	ns := New(t)
	for range 20 {
		ns.Do(func() {
			if inside, _ := os.Readlink("/proc/thread-self/ns/net"); inside == before {
				t.Error("Do stayed outside")
			}
		})
		after, _ := os.Readlink("/proc/thread-self/ns/net")
		if after != before {
			t.Fatalf("a goroutine runs in %s; it should be %s", after, before)
		}
	}
}

func TestDoCarriesSkipOut(t *testing.T) {
	skipped := t.Run("skip", func(t *testing.T) {
		New(t).Do(func() { t.Skip("from inside") })
		t.Error("Do came back from a function that ended the test")
	})
	if !skipped {
		t.Error("the skip inside Do failed the test")
	}
}

func TestProgramsRunInside(t *testing.T) {
	t.Parallel()
	ns := New(t)
	peer := New(t)
	VethDown(t, ns, "eth7", peer, "eth0")
	if out := ns.Run("ip", "-o", "link"); !strings.Contains(out, "eth7") {
		t.Errorf("ip link printed %s", out)
	}
	monitor := ns.Daemon("ip", "monitor", "link")
	Eventually(t, 5*time.Second, "the monitor to see the link", func() bool {
		ns.Up("eth7") // more than once, since ip does not say when it listens
		ns.Down("eth7")
		return strings.Contains(monitor.Output(), "eth7")
	})
	monitor.Stop()
	select {
	case <-monitor.Exited():
	default:
		t.Error("the daemon still runs after Stop")
	}
}
