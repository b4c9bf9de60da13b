package netcfg

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/netnstest"
)

// soon is how long to wait for what should happen at once. Only a machine with
// more to do than it can needs any of it; tests that measure have limits of
// their own.
const soon = 10 * time.Second

const deviceMAC = "02:82:00:00:00:02"

// network is a LAN with a bridge, 10.82.1.1/24, and a device connected to it.
type network struct {
	t        *testing.T
	lan, dev *netnstest.NS
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t, lan: netnstest.New(t), dev: netnstest.New(t)}
	n.plugIn()
	netnstest.Veth(t, n.lan, "keep0", netnstest.New(t), "eth0") // lest the bridge's own carrier go, which comes back slowly
	n.lan.Bridge("br0", "port0", "keep0")
	n.lan.Addr("br0", "10.82.1.1/24")
	return n
}

// newCable is a network without a bridge, which would lose the first packets
// after carrier: the server is at the other end of the cable.
func newCable(t *testing.T) *network {
	n := &network{t: t, lan: netnstest.New(t), dev: netnstest.New(t)}
	netnstest.VethDown(t, n.lan, "br0", n.dev, "eth0")
	n.dev.MAC("eth0", deviceMAC)
	n.lan.Addr("br0", "10.82.1.1/24")
	n.lan.Up("br0")
	return n
}

// plugIn gives the device its interface.
func (n *network) plugIn() {
	netnstest.VethDown(n.t, n.lan, "port0", n.dev, "eth0")
	n.dev.MAC("eth0", deviceMAC)
	n.lan.Up("port0")
}

// neighbour connects another host with an address to the LAN.
func (n *network) neighbour(cidr string) *netnstest.NS {
	host := netnstest.New(n.t)
	port := "port" + itoa(len(n.lan.Addrs("br0", netlink.FAMILY_ALL))+os.Getpid()%7+int(time.Now().UnixNano()%1e6))
	netnstest.Veth(n.t, n.lan, port, host, "eth0")
	n.lan.Enslave("br0", port)
	host.Addr("eth0", cidr)
	return host
}

// dnsmasq serves addresses and names on the bridge.
func (n *network) dnsmasq(extra ...string) *netnstest.Daemon {
	dir := n.t.TempDir()
	conf := append([]string{
		"port=53", "no-hosts", "no-resolv", "user=root", "interface=br0", "bind-interfaces", "except-interface=lo",
		"domain=lan", "local=/lan/", "expand-hosts", "dhcp-authoritative", "no-ping", "log-dhcp", "log-facility=-",
		"dhcp-range=10.82.1.100,10.82.1.150,255.255.255.0,2m",
		"dhcp-leasefile=" + dir + "/leases", "pid-file=" + dir + "/pid",
	}, extra...)
	writeFile(n.t, dir+"/conf", strings.Join(conf, "\n")+"\n")
	d := n.lan.Daemon("dnsmasq", "-k", "-C", dir+"/conf")
	d.WaitOutput("started", 5*time.Second)
	return d
}

// device is a running configurator.
type device struct {
	*netnstest.Daemon
	t      *testing.T
	ns     *netnstest.NS
	state  string
	resolv string
	in     io.Writer
}

// start runs a configurator on the device, with the state of an earlier one if
// that is given.
func (n *network) start(settings Settings, earlier ...*device) *device {
	n.t.Helper()
	d := &device{t: n.t, ns: n.dev, state: n.t.TempDir()}
	if len(earlier) > 0 {
		d.state = earlier[0].state
	}
	return d.run(settings)
}

func (d *device) run(settings Settings, change ...func(*exec.Cmd)) *device {
	d.t.Helper()
	if settings.Interface == "" {
		settings.Interface = "eth0"
	}
	d.resolv = filepath.Join(d.state, "resolv.conf")
	_ = os.Remove(filepath.Join(d.state, "report.json"))
	data, err := json.Marshal(settings)
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := program(d.ns, "run", "NETCFG_TEST_CONFIG="+string(data), "NETCFG_TEST_STATE="+d.state, "NETCFG_TEST_RESOLV="+d.resolv)
	for _, f := range change {
		f(cmd)
	}
	if d.in, err = cmd.StdinPipe(); err != nil {
		d.t.Fatal(err)
	}
	d.Daemon = d.ns.DaemonCommand(cmd)
	return d
}

// tell gives a command and waits until it is carried out.
func (d *device) tell(command string) {
	d.t.Helper()
	verb, _, _ := strings.Cut(command, " ")
	answers := func() int { return strings.Count("\n"+d.Output(), "\n"+verb+": ") }
	before := answers()
	fmt.Fprintln(d.in, command)
	netnstest.Eventually(d.t, soon, "an answer to "+verb, func() bool {
		return answers() > before
	})
}

func (d *device) report() (r Report) {
	data, err := os.ReadFile(filepath.Join(d.state, "report.json"))
	if err == nil {
		_ = json.Unmarshal(data, &r)
	}
	return r
}

// complains waits until a problem is reported.
func (d *device) complains(text string) {
	d.t.Helper()
	netnstest.Eventually(d.t, soon, "the problem "+text, func() bool {
		return strings.Contains(strings.Join(d.report().Problems, "\n"), text)
	})
}

// has waits until the interface has an address.
func (d *device) has(cidr string, limit time.Duration) {
	d.t.Helper()
	netnstest.Eventually(d.t, limit, "the address "+cidr, func() bool {
		return slices.ContainsFunc(d.addrs(), func(a string) bool {
			ok, _ := filepath.Match(cidr, strings.ReplaceAll(a, "/", ":"))
			return ok || a == cidr
		})
	})
}

// lacks waits until the interface has not got an address.
func (d *device) lacks(cidr string, limit time.Duration) {
	d.t.Helper()
	netnstest.Eventually(d.t, limit, "the address "+cidr+" to go", func() bool { return !slices.Contains(d.addrs(), cidr) })
}

func (d *device) addrs() []string { return addrsOf(d.ns) }

func addrsOf(ns *netnstest.NS) (list []string) {
	link, err := ns.Handle().LinkByName("eth0")
	if err != nil {
		return nil
	}
	addrs, _ := ns.Handle().AddrList(link, netlink.FAMILY_V4)
	for _, addr := range addrs {
		list = append(list, addr.IPNet.String())
	}
	return list
}

// kernel is what `ip` says about the state: the golden text of a test.
func (d *device) kernel() string {
	addrs := d.ns.Run("ip", "-4", "-o", "addr", "show", "dev", "eth0")
	routes := d.ns.Run("ip", "-4", "route", "show", "table", "main")
	var b strings.Builder
	for line := range strings.Lines(addrs) {
		fields := strings.Fields(line)
		b.WriteString("addr")
		for i := 3; i < len(fields); i++ {
			switch fields[i] {
			case "valid_lft", "preferred_lft":
				i++ // it changes with each second
			case "\\":
			default:
				b.WriteString(" " + fields[i])
			}
		}
		b.WriteByte('\n')
	}
	for line := range strings.Lines(routes) {
		b.WriteString("route " + strings.Join(strings.Fields(line), " ") + "\n")
	}
	return b.String()
}

func (d *device) expectKernel(want string) {
	d.t.Helper()
	want = strings.TrimLeft(strings.ReplaceAll(want, "\t", ""), "\n")
	deadline := time.Now().Add(soon)
	for d.kernel() != want {
		if time.Now().After(deadline) {
			d.t.Fatalf("the kernel has\n%s\nwant\n%s", d.kernel(), want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func prefixes(list ...string) (all []netip.Prefix) {
	for _, text := range list {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func addresses(list ...string) (all []netip.Addr) {
	for _, text := range list {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// copyProgram puts the test's program where everybody may run it.
func copyProgram(t *testing.T, path string) {
	t.Helper()
	// Another process writes the copy: a program that a test beside this one
	// starts meanwhile could inherit the descriptor, and the copy would be busy
	// (https://go.dev/issue/22315).
	if out, err := exec.Command("install", "-m", "755", "/proc/"+strconv.Itoa(os.Getpid())+"/exe", path).CombinedOutput(); err != nil {
		t.Fatalf("copying the program: %v: %s", err, out)
	}
}

// nobody is an unprivileged user.
const nobody = 65534

func chown(t *testing.T, path string) {
	t.Helper()
	for dir := path; strings.Contains(dir, t.Name()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(path, nobody, nobody); err != nil {
		t.Fatal(err)
	}
}

// unprivileged runs a device's program as nobody, with what netcfg needs.
func unprivileged(d *device) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Path = d.state + "/program"
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE}
	}
}
