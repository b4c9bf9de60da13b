package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// cable is a device whose only line goes to a server: 10.82.1.1, which is
// dnsmasq, router and name server in one.
type cable struct {
	t           *testing.T
	server, dev *netnstest.NS
	dnsmasq     *netnstest.Daemon
	dir         string
}

func newCable(t *testing.T) *cable {
	t.Helper()
	c := &cable{t: t, server: netnstest.New(t), dev: netnstest.New(t), dir: t.TempDir()}
	for dir := c.dir; strings.Contains(dir, t.Name()); dir = filepath.Dir(dir) { // for users without rights
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	netnstest.VethDown(t, c.server, "lan0", c.dev, "eth0")
	c.dev.MAC("eth0", "02:82:00:00:00:02")
	c.server.Addr("lan0", "10.82.1.1/24")
	c.server.Up("lan0")
	c.dnsmasq = c.server.Daemon("dnsmasq", "-k", "-C", c.write("dnsmasq.conf", `port=53
no-hosts
no-resolv
user=root
interface=lan0
bind-interfaces
except-interface=lo
domain=lan
local=/lan/
dhcp-authoritative
no-ping
log-dhcp
log-facility=-
dhcp-range=10.82.1.100,10.82.1.150,255.255.255.0,2m
dhcp-leasefile=`+c.dir+`/leases
pid-file=`+c.dir+"/pid\n"))
	c.dnsmasq.WaitOutput("started", 10*time.Second)
	return c
}

func (c *cable) write(name, text string) (path string) {
	c.t.Helper()
	path = filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// configure writes the configuration, with these lines of [net].
func (c *cable) configure(lines ...string) {
	c.t.Helper()
	state := filepath.Join(c.dir, "state")
	if err := os.MkdirAll(state, 0o777); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chmod(state, 0o777); err != nil { // whatever the umask
		c.t.Fatal(err)
	}
	c.write("appliance.toml", fmt.Sprintf("name = \"e2e\"\nstate = %q\n[http]\nlisten = [\":80\"]\n[net]\ninterface = \"eth0\"\nresolv_conf = %q\n%s\n",
		state, filepath.Join(state, "resolv.conf"), strings.Join(lines, "\n")))
}

// command prepares a verb of the appliance.
func (c *cable) command(verb ...string) *exec.Cmd {
	cmd := c.dev.Command(binary(c.t), append(verb, "--config", filepath.Join(c.dir, "appliance.toml"))...)
	cmd.Dir = "/"
	return cmd
}

// daemon runs a verb until the test ends.
func (c *cable) daemon(verb ...string) *netnstest.Daemon {
	c.t.Helper()
	return c.dev.DaemonCommand(c.command(verb...))
}

// unprivileged runs a verb as nobody with some capabilities.
func (c *cable) unprivileged(caps []uintptr, verb ...string) *netnstest.Daemon {
	c.t.Helper()
	cmd := c.command(verb...)
	cmd.Path = c.forEverybody()
	const nobody = 65534
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	cmd.SysProcAttr.AmbientCaps = caps
	return c.dev.DaemonCommand(cmd)
}

// forEverybody is the binary where everybody may run it.
func (c *cable) forEverybody() string {
	path := filepath.Join(c.dir, "appliance")
	if out, err := exec.Command("install", "-m", "755", binary(c.t), path).CombinedOutput(); err != nil {
		c.t.Fatalf("copying the program: %v: %s", err, out)
	}
	return path
}

// ask runs a verb to its end.
func (c *cable) ask(verb ...string) (stdout, stderr string, err error) {
	c.t.Helper()
	cmd := c.command(verb...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := c.dev.Start(cmd); err != nil {
		c.t.Fatal(err)
	}
	err = cmd.Wait()
	return out.String(), errs.String(), err
}

// must is ask for verbs that succeed.
func (c *cable) must(verb ...string) (stdout string) {
	c.t.Helper()
	stdout, stderr, err := c.ask(verb...)
	if err != nil {
		c.t.Fatalf("appliance %s: %v\n%s", strings.Join(verb, " "), err, stderr)
	}
	return stdout
}

func (c *cable) addrs() []string { return c.dev.Addrs("eth0", netlink.FAMILY_V4) }

// eventually waits for what takes milliseconds, or seconds on a busy machine.
func (c *cable) eventually(what string, holds func() bool) {
	c.t.Helper()
	netnstest.Eventually(c.t, 20*time.Second, what, holds)
}

// has waits for an address, and that there is no other.
func (c *cable) has(cidr string) {
	c.t.Helper()
	c.eventually("the address "+cidr, func() bool { return slices.Equal(c.addrs(), []string{cidr}) })
}

// leased waits for an address that dnsmasq gave.
func (c *cable) leased() (cidr string) {
	c.t.Helper()
	c.eventually("a lease", func() bool {
		list := c.addrs()
		return len(list) == 1 && strings.HasPrefix(list[0], "10.82.1.1")
	})
	return c.addrs()[0]
}

// count is how often dnsmasq has said something.
func (c *cable) count(what string) int { return strings.Count(c.dnsmasq.Output(), what+"(lan0)") }

// get fetches a page from the server's side of the cable.
func (c *cable) get(url string) string {
	cmd := c.server.Command("curl", "-sS", "-m", "5", url)
	var out strings.Builder
	cmd.Stdout = &out
	if err := c.server.Start(cmd); err != nil {
		c.t.Fatal(err)
	}
	_ = cmd.Wait()
	return out.String()
}

// lookUp asks dnsmasq for a name.
func (c *cable) lookUp(name string) (addrs []string) {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		c.server.Do(func() { conn, err = (&net.Dialer{}).DialContext(ctx, network, "10.82.1.1:53") })
		return conn, err
	}}
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	addrs, _ = resolver.LookupHost(ctx, name)
	return addrs
}

// TestLease is the daemon with nothing but `mode = "dhcp"`: it is reached at the
// leased address, known by its name, asks for the same address after a restart,
// and gives it back where it is told to.
func TestLease(t *testing.T) {
	t.Parallel()
	need.Command(t, "curl")
	c := newCable(t)
	c.configure(`mode = "dhcp"`)
	original := filepath.Join(c.dir, "state", "resolv.conf")
	c.write("state/resolv.conf", "nameserver 192.0.2.53\n")
	a := c.daemon("run")
	addr, _, _ := strings.Cut(c.leased(), "/")

	c.eventually("the page", func() bool { return strings.Contains(c.get("http://"+addr+"/healthz"), "ok") })
	if got := c.lookUp("e2e.lan."); !slices.Equal(got, []string{addr}) {
		t.Errorf("dnsmasq knows e2e.lan as %v; want %s", got, addr)
	}
	c.eventually("the name to be seen in the DNS", func() bool {
		return strings.Contains(c.must("net", "show"), "yes: e2e.lan")
	})
	if text, _ := os.ReadFile(original); !strings.Contains(string(text), "\nnameserver 10.82.1.1\n") {
		t.Errorf("the resolver file is\n%s", text)
	}
	for _, want := range []string{"01028200000002", "dhcp-host=02:82:00:00:00:02,e2e," + addr, addr + "/24 from 10.82.1.1"} {
		if show := c.must("net", "show"); !strings.Contains(show, want) {
			t.Errorf("net show says nothing of %q:\n%s", want, show)
		}
	}

	a.Stop()
	if got := c.addrs(); a.ExitCode() != 0 || len(got) != 1 {
		t.Errorf("after SIGTERM: exit %d, addresses %v", a.ExitCode(), got)
	}
	discovers, acks := c.count("DHCPDISCOVER"), c.count("DHCPACK")
	c.configure(`mode = "dhcp"`, `release_on_stop = true`)
	again := c.daemon("run")
	c.eventually("the same lease", func() bool { return c.count("DHCPACK") > acks })
	c.has(addr + "/24")
	if c.count("DHCPDISCOVER") != discovers {
		t.Error("after the restart it looked for a server instead of asking for its address")
	}
	c.eventually("bound", func() bool { return strings.Contains(c.must("net", "show"), "bound") })
	again.Stop()
	c.eventually("the release", func() bool { return c.count("DHCPRELEASE") == 1 })
	if got := c.addrs(); len(got) != 0 {
		t.Errorf("after the release: %v", got)
	}
	if text, _ := os.ReadFile(original); string(text) != "nameserver 192.0.2.53\n" {
		t.Errorf("after the release the resolver file is\n%s", text)
	}
}

// TestTwoProcesses is the arrangement of the services: `net run` configures,
// `run` serves without the rights to, each survives the other, and what the one
// is told is done by the other. Neither is root.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	c.configure(`mode = "dhcp"`)
	network := []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE}
	net1 := c.unprivileged(network, "net", "run")
	addr, _, _ := strings.Cut(c.leased(), "/")
	web := c.unprivileged([]uintptr{unix.CAP_NET_BIND_SERVICE}, "run")
	page := "http://" + addr + "/api/v1/status"
	c.eventually("the page", func() bool { return strings.Contains(c.get(page), addr) })

	web.Kill()
	c.has(addr + "/24") // which is in the hands of the other
	web = c.unprivileged([]uintptr{unix.CAP_NET_BIND_SERVICE}, "run")
	c.eventually("the page again", func() bool { return strings.Contains(c.get(page), addr) })
	net1.Kill()
	if !strings.Contains(c.get(page), addr) {
		t.Error("it serves no more without the other")
	}
	requests := c.count("DHCPREQUEST")
	c.unprivileged(network, "net", "run")
	c.eventually("the address to be asked for", func() bool { return c.count("DHCPREQUEST") > requests })
	c.eventually("the answer of the other", func() bool {
		out, _, err := c.ask("net", "show", "--json")
		var report struct {
			DHCP struct{ State string }
		}
		return err == nil && json.Unmarshal([]byte(out), &report) == nil && report.DHCP.State == "bound"
	})

	id := strings.TrimSpace(c.must("net", "apply", "--confirm", "60s", "net.mode=static", "net.static.addresses=10.82.1.40/24", "net.static.gateway=10.82.1.1"))
	c.has("10.82.1.40/24")
	c.must("net", "confirm", id)
	if show := c.must("config", "show"); !strings.Contains(show, "10.82.1.40/24") {
		t.Errorf("what was confirmed is not kept:\n%s", show)
	}
	c.eventually("the page at the new address", func() bool {
		return strings.Contains(c.get("http://10.82.1.40/api/v1/status"), "10.82.1.40")
	})
	if t.Failed() {
		t.Log(web.Output())
	}
}

// TestTrialEndsWithACrash: a change that nobody confirmed is gone after a crash,
// a wrong one after its time, and a confirmed one is there after a restart.
func TestTrialEndsWithACrash(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	c.configure(`mode = "dhcp"`)
	a := c.daemon("run")
	leased := c.leased()
	try := func(limit string) {
		t.Helper()
		c.eventually("the daemon", func() bool { _, _, err := c.ask("net", "show"); return err == nil })
		c.must("net", "apply", "--confirm", limit, "net.mode=static", "net.static.addresses=10.82.1.40/24")
		c.has("10.82.1.40/24")
	}
	try("10m")
	if _, stderr, err := c.ask("net", "apply", "--confirm", "10m", "net.mode=dhcp"); err == nil || !strings.Contains(stderr, "another change is on trial") {
		t.Errorf("a second trial: %v, %s", err, stderr)
	}
	a.Kill()
	a = c.daemon("run")
	c.has(leased)
	c.eventually("to be told", func() bool {
		return strings.Contains(c.must("net", "show"), "the last change of settings was reverted")
	})

	try("5s")
	c.has(leased)
	if _, stderr, err := c.ask("net", "confirm"); err == nil || !strings.Contains(stderr, "no change is on trial") {
		t.Errorf("confirmed too late: %v, %s", err, stderr)
	}

	try("10m")
	c.must("net", "confirm")
	a.Kill()
	c.daemon("run")
	c.eventually("the check of the address", func() bool { return strings.Contains(c.must("net", "show", "--json"), `"mode": "static"`) })
	c.has("10.82.1.40/24")
}

// TestAnotherClient: where somebody else's DHCP client works, ours does not, and
// says how to change that.
func TestAnotherClient(t *testing.T) {
	t.Parallel()
	need.Command(t, "busybox")
	c := newCable(t)
	c.configure(`mode = "dhcp"`)
	script := c.write("udhcpc.sh", "#!/bin/sh\ncase $1 in bound|renew) ip addr replace $ip/24 dev $interface; ip route replace default via $router dev $interface;; esac\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	a := c.daemon("run")
	c.leased()
	udhcpc := c.dev.Daemon("busybox", "udhcpc", "-f", "-i", "eth0", "-s", script)
	a.WaitOutput("another program configures the interface", 20*time.Second)
	show := c.must("net", "show")
	for _, want := range []string{"udhcpc is running", "To have the appliance configure it instead"} {
		if !strings.Contains(show, want) {
			t.Errorf("net show says nothing of %q:\n%s", want, show)
		}
	}
	if routes := c.dev.Run("ip", "route"); strings.Contains(routes, "proto 161") {
		t.Errorf("our routes stayed:\n%s", routes)
	}
	if _, stderr, err := c.ask("net", "dhcp", "renew"); err == nil || !strings.Contains(stderr, "hint: ") {
		t.Errorf("renewing nevertheless: %v, %s", err, stderr)
	}
	if _, stderr, err := c.ask("net", "plan", "net.mode=static", "net.static.addresses=10.82.1.40/24"); err != nil || !strings.Contains(stderr, "only once DHCP client has handed eth0 over") {
		t.Errorf("net plan: %v, %s", err, stderr)
	}
	a.Stop()
	discovers := c.count("DHCPDISCOVER")
	a = c.daemon("run")
	a.WaitOutput("another program configures the interface", 20*time.Second)
	if c.count("DHCPDISCOVER") != discovers {
		t.Error("it asked for an address beside the other")
	}
	udhcpc.Stop()
}
