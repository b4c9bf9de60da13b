package neighbour

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"server22.local/appliance/discovery"
	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const udpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000   106        0 11 2 0000000000000000 0
  101: FB0000E0:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000   999        0 12 2 0000000000000000 0
  102: 00000000:0089 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13 2 0000000000000000 0
  103: 00000000:14E9 6400350A:14E9 01 00000000:00000000 00:00000000 00000000     0        0 14 2 0000000000000000 0
  104: 00000000000000000000000000000000:14E9 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 106 0 15 2 0 0
broken
`

func TestListed(t *testing.T) {
	got := listed([]byte(udpTable), "udp", []uint16{MulticastDNS})
	want := []Holder{{Port: 5353, Network: "udp", inode: "11"}, {Port: 5353, Network: "udp", inode: "15"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Holder{})); diff != "" {
		t.Error(diff)
	}
}

// Another program has the port, on all addresses and by both protocols.
func TestHolders(t *testing.T) {
	t.Parallel()
	need.Command(t, "dnsmasq")
	ns := netnstest.New(t)
	ns.Daemon("dnsmasq", "-k", "-p", "5353", "--no-resolv", "--no-hosts", "-C", os.DevNull)
	want := []Holder{{Port: 5353, Network: "tcp", Program: "dnsmasq"}, {Port: 5353, Network: "udp", Program: "dnsmasq"}}
	var got []Holder
	netnstest.Eventually(t, 5*time.Second, "the port to be taken", func() bool {
		ns.Do(func() {
			var err error
			if got, err = Holders(MulticastDNS, LLMNR); err != nil {
				t.Error(err)
			}
		})
		return len(got) == len(want)
	})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Holder{})); diff != "" {
		t.Error(diff)
	}
}

func TestAvahiExclusive(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                       false,
		"[server]\ndisallow-other-stacks=yes\n":  true,
		"[server]\n disallow-other-stacks = yes": true,
		"[server]\n#disallow-other-stacks=yes\n": false,
		"[server]\ndisallow-other-stacks=no\n":   false,
		"[wide-area]\ndisallow-other-stacks=yes": false,
	} {
		path := filepath.Join(t.TempDir(), "avahi-daemon.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := AvahiExclusive(path); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if AvahiExclusive("/nonexistent") {
		t.Error("there is no Avahi")
	}
}

// manager is what systemd-resolved shows on the bus, with two links.
type manager struct{}

func (manager) GetLink(index int32) (dbus.ObjectPath, *dbus.Error) {
	if index > 3 {
		return "", dbus.MakeFailedError(fmt.Errorf("link %d not known", index))
	}
	return dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/resolve1/link/_3%d", index)), nil
}

func TestFindResolved(t *testing.T) {
	t.Parallel()
	address := netnstest.New(t).MessageBus()
	interfaces := []discovery.Interface{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}, {Index: 4, Name: "eth2"}}
	if got := FindResolved(t.Context(), address, interfaces); got.MulticastDNS != nil || got.LLMNR != nil {
		t.Errorf("without systemd-resolved: %+v", got)
	}
	conn, err := Bus(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	show := func(path dbus.ObjectPath, iface, mdns, llmnr string) {
		_, err := prop.Export(conn, path, prop.Map{iface: {"MulticastDNS": {Value: mdns}, "LLMNR": {Value: llmnr}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Export(manager{}, "/org/freedesktop/resolve1", resolvedManager); err != nil {
		t.Fatal(err)
	}
	show("/org/freedesktop/resolve1", resolvedManager, "yes", "resolve")
	show("/org/freedesktop/resolve1/link/_32", resolvedLink, "yes", "yes")
	show("/org/freedesktop/resolve1/link/_33", resolvedLink, "resolve", "yes")
	if _, err := conn.RequestName(resolvedService, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Resolved{MulticastDNS: []string{"eth0"}}, FindResolved(t.Context(), address, interfaces)); diff != "" {
		t.Error(diff)
	}
}
