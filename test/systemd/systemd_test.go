// Package systemd boots real machines: systemd as pid 1 in systemd-nspawn,
// with the Debian package that the project builds. Each script of testdata is
// one machine's life.
package systemd

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
)

const project = "../.."

func TestPackage(t *testing.T) {
	boot(t, machine{name: "package", script: "package.sh"})
}

// TestService lives through what happens to a service: crash, hang, restart
// under load.
func TestService(t *testing.T) {
	boot(t, machine{name: "service", script: "service.sh"})
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
	script string // of testdata
	netns  string // its network; "" is none but loopback
}

// boot runs a machine until its script ends, and fails the test as the script
// did. What the script printed is the test's log.
func boot(t *testing.T, m machine) {
	t.Helper()
	need.Root(t)
	need.Command(t, "systemd-nspawn", "mmdebstrap", "dpkg-deb")
	debs := packages(t)
	root, err := exec.Command("./rootfs.sh").Output()
	if err != nil {
		t.Fatalf("making the root file system: %v", err)
	}
	dir := t.TempDir()
	for i, name := range []string{"old.deb", "new.deb"} {
		link(t, debs[i], filepath.Join(dir, name))
	}
	link(t, filepath.Join("testdata", m.script), filepath.Join(dir, "script.sh"))
	link(t, filepath.Join("testdata", "lib.sh"), filepath.Join(dir, "lib.sh"))
	os.WriteFile(filepath.Join(dir, "output"), nil, 0o644)

	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	defer cancel()
	network := "--private-network"
	if m.netns != "" {
		network = "--network-namespace-path=/run/netns/" + m.netns
	}
	cmd := exec.CommandContext(ctx, "systemd-nspawn", "--quiet", "--boot", "--volatile=overlay", "--register=no", "--keep-unit",
		"--directory="+string(bytes.TrimSpace(root)), "--machine="+m.name, "--hostname="+m.name, network,
		"--capability=CAP_NET_ADMIN", "--bind="+dir+":/test", "--console=pipe")
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var console strings.Builder
	cmd.Stdout, cmd.Stderr = &console, &console
	err = cmd.Run()
	output, readErr := os.ReadFile(filepath.Join(dir, "output"))
	t.Logf("%s:\n%s", m.name, output)
	if err != nil || readErr != nil || !bytes.Contains(output, []byte("PASSED")) {
		t.Errorf("%s: %v; the console said:\n%s", m.name, err, console.String())
	}
}

// link makes a file of the test's folder visible in the machine's.
func link(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
