package netcfg

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// Where the resolver file belongs to systemd-resolved, that is told the name
// servers of the link, and to forget them when they are no more.
func TestResolved(t *testing.T) {
	t.Parallel()
	need.Command(t, "mmdebstrap", "unshare")
	n := newNetwork(t)
	n.dnsmasq("dhcp-host=" + deviceMAC + ",10.82.1.22")
	root, err := exec.Command("../test/systemd/rootfs.sh").Output()
	if err != nil {
		t.Fatalf("making the root file system: %v", err)
	}
	dir, err := os.MkdirTemp("", "r") // short, as a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	cmd := n.dev.Command("unshare", "--mount", "sh", "testdata/resolved.sh", strings.TrimSpace(string(root)), dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	resolved := n.dev.DaemonCommand(cmd)
	t.Cleanup(func() {
		_ = in.Close()
		<-resolved.Exited()
	})
	resolved.WaitOutput("READY", 40*time.Second)
	says := func(want string) {
		t.Helper()
		before := len(resolved.Output())
		netnstest.Eventually(t, 20*time.Second, "resolved to say "+want, func() bool {
			fmt.Fprintln(in, "resolvectl dns eth0; resolvectl domain eth0")
			time.Sleep(50 * time.Millisecond)
			return strings.Contains(resolved.Output()[before:], want)
		})
	}

	d := &device{t: t, ns: n.dev, state: t.TempDir()}
	if err := os.Symlink("/run/systemd/resolve/stub-resolv.conf", d.state+"/resolv.conf"); err != nil {
		t.Fatal(err)
	}
	bus := fmt.Sprintf("NETCFG_TEST_BUS=unix:path=/proc/%d/root%s/root/run/dbus/system_bus_socket", resolved.PID(), dir)
	d.run(Settings{Mode: ModeDHCP}, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, bus) })
	d.has("10.82.1.22/24", soon)
	says("(eth0): 10.82.1.1\n")
	says("(eth0): lan\n")
	if problems := d.report().Problems; len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	d.tell("release")
	says("(eth0):\n")
}
