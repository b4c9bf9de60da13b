package netcfg

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/need"
)

func itoa(i int) string { return strconv.Itoa(i) }

func TestOwnersByTheirFiles(t *testing.T) {
	t.Parallel()
	self := itoa(os.Getpid())
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nobody", nil, ""},
		{"networkd", map[string]string{"/run/systemd/netif/links/7": "ADMIN_STATE=configured\nOPER_STATE=routable\n"}, "systemd-networkd"},
		{"networkd leaves it alone", map[string]string{"/run/systemd/netif/links/7": "ADMIN_STATE=unmanaged\n"}, ""},
		{"dhcpcd", map[string]string{"/run/dhcpcd/pid": self + "\n", "/proc/" + self + "/comm": "dhcpcd\n"}, "dhcpcd"},
		{"dhcpcd for this link", map[string]string{"/run/dhcpcd-eth7.pid": self, "/proc/" + self + "/comm": "dhcpcd\n"}, "dhcpcd"},
		{"dhcpcd is dead", map[string]string{"/run/dhcpcd/pid": self + "\n"}, ""},
		{"dhcpcd denies it", map[string]string{"/run/dhcpcd/pid": self, "/proc/" + self + "/comm": "dhcpcd\n",
			"/etc/dhcpcd.conf": "hostname\ndenyinterfaces wlan0 eth*\n"}, ""},
		{"ifupdown", map[string]string{"/run/network/ifstate": "lo=lo\neth7=eth7\n"}, "ifupdown"},
		{"ifupdown for another", map[string]string{"/run/network/ifstate": "lo=lo\neth70=eth70\n"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range test.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(root, path), text)
			}
			finder := OwnerFinder{Root: root, Bus: "unix:path=" + root + "/no-bus"}
			link := Link{Index: 7, Name: "eth7"}
			owner, found := finder.Find(t.Context(), &Snapshot{Links: []Link{link}}, link)
			if owner.Name != test.want || found != (test.want != "") {
				t.Errorf("found %v, %+v; want %q", found, owner, test.want)
			}
			if found && !strings.Contains(owner.HandOver, "eth7") {
				t.Errorf("the hand-over does not name the link: %s", owner.HandOver)
			}
		})
	}
}

func TestOwnerByItsRoutes(t *testing.T) {
	t.Parallel()
	link := Link{Index: 7, Name: "eth7"}
	finder := OwnerFinder{Root: t.TempDir(), Bus: "unix:path=/nonexistent"}
	snapshot := &Snapshot{Links: []Link{link}, Routes: []Route{{Link: 7, Protocol: unix.RTPROT_DHCP}}}
	if owner, _ := finder.Find(t.Context(), snapshot, link); owner.Name != "DHCP client" {
		t.Errorf("found %+v", owner)
	}
	snapshot.Routes[0].Link = 8
	if owner, found := finder.Find(t.Context(), snapshot, link); found {
		t.Errorf("found %+v on another link", owner)
	}
}

// manager speaks NetworkManager's part of D-Bus on a bus of the test's own.
type manager struct{ device dbus.ObjectPath }

//lint:ignore ST1003 the name is NetworkManager's
func (m manager) GetDeviceByIpIface(name string) (dbus.ObjectPath, *dbus.Error) {
	if name != "eth7" {
		return "", dbus.NewError("org.freedesktop.NetworkManager.UnknownDevice", nil)
	}
	return m.device, nil
}

type busDevice map[string]any

func (d busDevice) Get(_, property string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant(d[property]), nil
}

func TestOwnerOnTheBus(t *testing.T) {
	t.Parallel()
	address := privateBus(t)
	bus, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	const path = dbus.ObjectPath("/org/freedesktop/NetworkManager/Devices/2")
	state := busDevice{"Managed": true, "HwAddress": "02:82:00:00:00:07"}
	_ = bus.Export(manager{path}, "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager")
	_ = bus.Export(state, path, "org.freedesktop.DBus.Properties")
	if _, err := bus.RequestName("org.freedesktop.NetworkManager", 0); err != nil {
		t.Fatal(err)
	}

	finder := OwnerFinder{Root: t.TempDir(), Bus: address}
	for _, test := range []struct {
		name string
		link Link
		want string
	}{
		{"managed", Link{Name: "eth7", MAC: MAC{2, 0x82, 0, 0, 0, 7}}, "NetworkManager"},
		{"unknown", Link{Name: "eth8", MAC: MAC{2, 0x82, 0, 0, 0, 7}}, ""},
		{"in another namespace", Link{Name: "eth7", MAC: MAC{2, 0x82, 0, 0, 0, 9}}, ""},
	} {
		if owner, _ := finder.Find(t.Context(), &Snapshot{}, test.link); owner.Name != test.want {
			t.Errorf("%s: found %+v; want %q", test.name, owner, test.want)
		}
	}
}

// privateBus starts a D-Bus daemon that ends with the test.
func privateBus(t *testing.T) (address string) {
	t.Helper()
	socket := "unix:path=" + filepath.Join(t.TempDir(), "bus")
	cmd := exec.Command(need.Command(t, "dbus-daemon")[0], "--session", "--nofork", "--nopidfile", "--print-address", "--address="+socket)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line := make([]byte, 512)
	if n, err := out.Read(line); n == 0 { // it prints the address once it listens
		t.Fatalf("dbus-daemon did not start: %v", err)
	}
	return socket
}

// A daemon in a namespace of its own, without privileges, is not confused by
// what managers say about links of the host that have the same name or index.
func TestOwnersOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.script(leaseFor("10.82.1.22", 60))
	d := &device{t: t, ns: n.dev, state: t.TempDir()}
	chown(t, d.state)
	copyProgram(t, d.state+"/program")
	index := itoa(n.dev.Interface("eth0").Index)
	for path, text := range map[string]string{
		"/run/systemd/netif/links/" + index: "ADMIN_STATE=configured\n",
		"/run/network/ifstate":              "eth0=eth0\n",
	} {
		if err := os.MkdirAll(filepath.Dir(d.state+path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, d.state+path, text)
	}
	d.run(Settings{Mode: ModeDHCP}, unprivileged(d))
	d.has("10.82.1.22/24", soon)
}
