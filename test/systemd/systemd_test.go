// Package systemd boots real machines: systemd as pid 1 in systemd-nspawn,
// with the Debian package that the project builds. Each script of testdata is
// one machine's life.
package systemd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

const project = "../.."

func TestPackage(t *testing.T) {
	boot(t, machine{name: "package", script: "package.sh"})
}

// TestTarball is for systems without dpkg.
func TestTarball(t *testing.T) {
	boot(t, machine{name: "tarball", script: "tarball.sh"})
}

// TestService lives through what happens to a service: crash, hang, restart
// under load.
func TestService(t *testing.T) {
	boot(t, machine{name: "service", script: "service.sh"})
}

// TestLAN has the appliance configure its machine by DHCP, in its two units,
// and a second machine, with systemd's resolver, find and use it by its name.
func TestLAN(t *testing.T) {
	server, desktop := lan(t)
	desktop.Addr("eth0", "10.86.0.9/24")
	a := powerOn(t, machine{name: "server", script: "server.sh", on: server})
	b := powerOn(t, machine{name: "desktop", script: "desktop.sh", on: desktop})
	b.wait(t)
	a.wait(t)
}

// TestHandover has NetworkManager configure the interface, then the appliance,
// then NetworkManager again, by the words of docs/installing.md.
func TestHandover(t *testing.T) {
	server, _ := lan(t)
	boot(t, machine{name: "raspberry", script: "handover.sh", on: server})
}

// lan makes two networks with an eth0 each, behind one switch with a DHCP and
// name server.
func lan(t *testing.T) (first, second *netnstest.NS) {
	t.Helper()
	need.Root(t)
	need.Command(t, "dnsmasq")
	hub, first, second := netnstest.New(t), netnstest.New(t), netnstest.New(t)
	netnstest.Veth(t, hub, "port1", first, "eth0")
	netnstest.Veth(t, hub, "port2", second, "eth0")
	hub.Bridge("br0", "port1", "port2")
	hub.Addr("br0", "10.86.0.1/24")
	hub.Daemon("dnsmasq", "-k", "-C", "/dev/null", "--user=root", "--interface=br0", "--bind-interfaces", "--no-resolv", "--no-hosts",
		"--domain=lan", "--dhcp-range=10.86.0.50,10.86.0.99,2m", "--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"))
	return first, second
}

// TestUnitsOnThisSystem has the systemd of this machine read the units: it is
// older than that of the booted ones, and complains of what it does not know.
func TestUnitsOnThisSystem(t *testing.T) {
	need.Command(t, "systemd-analyze")
	units, err := filepath.Glob(filepath.Join(project, "systemd/appliance*.*"))
	if err != nil || len(units) == 0 {
		t.Fatal(units, err)
	}
	// That /usr/bin/appliance is not here fails the command.
	out, _ := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "/usr/bin/appliance is not executable") {
			t.Error(line)
		}
	}
}

func TestLintian(t *testing.T) {
	need.Command(t, "lintian")
	for _, deb := range packages(t) {
		out, err := exec.Command("lintian", "--allow-root", "--profile", "debian", "--fail-on", "error,warning", deb).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(deb), err, out)
		}
	}
}

// packages builds the packages of this machine's processor, once: two of
// different versions, so that an upgrade is one.
var packages = func() func(t *testing.T) []string {
	var once sync.Once
	var debs []string
	var failure string
	return func(t *testing.T) []string {
		t.Helper()
		once.Do(func() { debs, failure = buildPackages() })
		if failure != "" {
			t.Fatal(failure)
		}
		return debs
	}
}()

func buildPackages() (debs []string, failure string) {
	dir, err := os.MkdirTemp("", "appliance-packages-")
	if err != nil {
		return nil, err.Error()
	}
	packagesDir = dir
	for _, version := range []string{"0.0.1", "0.0.2"} {
		for _, script := range []string{"cross.sh", "deb.sh"} {
			cmd := exec.Command(filepath.Join(project, "build/arm", script))
			cmd.Env = append(os.Environ(), "TARGETS=amd64", "DEBS=amd64:amd64", "VERSION="+version, "DIST="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, script + ": " + err.Error() + "\n" + string(out)
			}
		}
		debs = append(debs, filepath.Join(dir, "appliance_"+version+"_amd64.deb"))
	}
	return debs, ""
}

// packagesDir is where packages builds to; it goes with the tests.
var packagesDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if packagesDir != "" {
		os.RemoveAll(packagesDir)
	}
	os.Exit(code)
}

// machine is one to boot.
type machine struct {
	name   string
	script string        // of testdata
	on     *netnstest.NS // its network; nil is none but loopback
}

// boot runs a machine until its script ends, and fails the test as the script
// did. What the script printed is the test's log.
func boot(t *testing.T, m machine) {
	t.Helper()
	powerOn(t, m).wait(t)
}

// booted is a machine whose script runs.
type booted struct {
	name    string
	dir     string // the machine's /test
	cmd     *exec.Cmd
	console strings.Builder
}

func powerOn(t *testing.T, m machine) *booted {
	t.Helper()
	need.Root(t)
	need.Command(t, "systemd-nspawn", "mmdebstrap", "dpkg-deb")
	debs := packages(t)
	root, err := exec.Command("./rootfs.sh").Output()
	if err != nil {
		t.Fatalf("making the root file system: %v", err)
	}
	b := &booted{name: m.name, dir: t.TempDir()}
	for name, from := range map[string]string{
		"old.deb": debs[0], "new.deb": debs[1], "appliance.tar.gz": filepath.Join(packagesDir, "appliance_0.0.2_linux_amd64.tar.gz"),
		"script.sh": filepath.Join("testdata", m.script), "lib.sh": filepath.Join("testdata", "lib.sh"),
	} {
		copyFile(t, from, filepath.Join(b.dir, name))
	}
	if err := os.WriteFile(filepath.Join(b.dir, "output"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	t.Cleanup(cancel)
	network := "--private-network"
	if m.on != nil {
		network = "--network-namespace-path=" + pathOf(t, m.on)
	}
	b.cmd = exec.CommandContext(ctx, "systemd-nspawn", "--quiet", "--boot", "--volatile=overlay", "--register=no", "--keep-unit",
		"--directory="+string(bytes.TrimSpace(root)), "--machine="+m.name, "--hostname="+m.name, network,
		"--capability=CAP_NET_ADMIN", "--bind="+b.dir+":/test", "--console=pipe")
	b.cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	b.cmd.Cancel = func() error { return b.cmd.Process.Signal(os.Interrupt) }
	b.cmd.WaitDelay = 5 * time.Second
	b.cmd.Stdout, b.cmd.Stderr = &b.console, &b.console
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return b
}

// wait waits for the end of the machine.
func (b *booted) wait(t *testing.T) {
	t.Helper()
	err := b.cmd.Wait()
	output, readErr := os.ReadFile(filepath.Join(b.dir, "output"))
	t.Logf("%s:\n%s", b.name, output)
	if err != nil || readErr != nil || !bytes.Contains(output, []byte("PASSED")) {
		t.Errorf("%s: %v; the console said:\n%s", b.name, err, b.console.String())
	}
}

// pathOf is where a namespace is found: that of a program within it, which
// stays as long as the test.
func pathOf(t *testing.T, ns *netnstest.NS) string {
	t.Helper()
	return fmt.Sprintf("/proc/%d/ns/net", ns.Daemon("sleep", "infinity").PID())
}

// copyFile makes a file of the test's folder visible in the machine's.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
