package netcfg

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

// program prepares one of the programs of TestMain.
func program(ns *netnstest.NS, name string, env ...string) *exec.Cmd {
	cmd := ns.Command("/proc/self/exe")
	cmd.Path, _ = os.Executable()
	cmd.Env = append(os.Environ(), "NETCFG_TEST_PROGRAM="+name)
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// watched is the last snapshot that a watch program has printed.
func watched(t *testing.T, d *netnstest.Daemon) (line watchLine) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(d.Output()), "\n")
	if lines[0] == "" {
		return watchLine{Snapshot: &Snapshot{}}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		return watchLine{Snapshot: &Snapshot{}} // half a line
	}
	return line
}

func TestWatcherFollowsChanges(t *testing.T) {
	t.Parallel()
	lan, dev := netnstest.New(t), netnstest.New(t)
	netnstest.VethDown(t, lan, "port0", dev, "eth0")
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	writeFile(t, resolv, "nameserver 10.82.1.1\nsearch lan\n")
	d := dev.DaemonCommand(program(dev, "watch", "NETCFG_TEST_RESOLV="+resolv))
	expect := func(what string, holds func(s *Snapshot, eth0 Link) bool) {
		t.Helper()
		netnstest.Eventually(t, soon, what, func() bool {
			s := watched(t, d).Snapshot
			eth0, _ := s.Link("eth0")
			return holds(s, eth0)
		})
	}

	expect("the first snapshot", func(s *Snapshot, eth0 Link) bool {
		return s.Version == 1 && eth0.Kind == "veth" && !eth0.Up && slices.Equal(s.Resolver.Search, []string{"lan"})
	})
	dev.Up("eth0")
	expect("up without carrier", func(_ *Snapshot, eth0 Link) bool { return eth0.Up && !eth0.Carrier })
	lan.Up("port0")
	expect("carrier and a tentative address", func(_ *Snapshot, eth0 Link) bool {
		return eth0.Carrier && slices.ContainsFunc(eth0.Addrs, func(a Addr) bool { return a.Tentative && a.Scope == "link" })
	})
	expect("the end of duplicate address detection", func(_ *Snapshot, eth0 Link) bool {
		return slices.ContainsFunc(eth0.Addrs, func(a Addr) bool { return a.Usable() && a.Scope == "link" })
	})
	dev.Run("ip", "addr", "add", "10.82.1.9/24", "dev", "eth0", "valid_lft", "600", "preferred_lft", "300")
	dev.Run("ip", "route", "add", "default", "via", "10.82.1.1", "metric", "7")
	expect("an address with a lifetime and a route", func(s *Snapshot, eth0 Link) bool {
		return slices.ContainsFunc(eth0.Addrs, func(a Addr) bool {
			left := time.Until(a.Valid)
			return a.Prefix == netip.MustParsePrefix("10.82.1.9/24") && left > 590*time.Second && left < 601*time.Second
		}) && slices.ContainsFunc(s.RoutesOf(eth0.Index), func(r Route) bool {
			return r.Dst.Bits() == 0 && r.Gateway == netip.MustParseAddr("10.82.1.1") && r.Metric == 7
		})
	})
	dev.Down("eth0")
	dev.Rename("eth0", "lan7")
	expect("another name", func(s *Snapshot, _ Link) bool { _, ok := s.Link("lan7"); return ok })
	writeFile(t, resolv, "nameserver 10.82.1.77\n")
	expect("another name server", func(s *Snapshot, _ Link) bool {
		return slices.Equal(s.Resolver.Servers, []netip.Addr{netip.MustParseAddr("10.82.1.77")})
	})
	dev.Delete("lan7")
	expect("the link to be gone", func(s *Snapshot, _ Link) bool { return len(s.Links) == 1 })
}

// A renewed lifetime is no news; a thousand events that overrun the socket's
// buffer end in the right picture nevertheless.
func TestWatcherSurvivesOverruns(t *testing.T) {
	t.Parallel()
	dev := netnstest.New(t)
	batch := filepath.Join(t.TempDir(), "batch")
	var lines strings.Builder
	for i := range 1000 {
		lines.WriteString("addr add 10.82." + itoa(i/250) + "." + itoa(i%250+1) + "/32 dev lo\n")
	}
	writeFile(t, batch, lines.String())
	d := dev.DaemonCommand(program(dev, "watch"))
	d.WaitOutput(`"version":1`, soon)
	dev.Run("ip", "addr", "add", "10.84.0.1/32", "dev", "lo") // seen only once it listens for events
	netnstest.Eventually(t, soon, "the first event", func() bool { return watched(t, d).Version > 1 })
	d.Signal(syscall.SIGSTOP) // so that it cannot keep up, however fast the machine
	dev.Run("ip", "-batch", batch)
	d.Signal(syscall.SIGCONT)
	netnstest.Eventually(t, 10*time.Second, "all addresses", func() bool {
		lo, _ := watched(t, d).Link("lo")
		return len(lo.Addrs) > 1000
	})

	version := watched(t, d).Version
	dev.Run("ip", "addr", "change", "10.82.0.1/32", "dev", "lo", "valid_lft", "600", "preferred_lft", "600")
	netnstest.Eventually(t, soon, "a limited life to be told", func() bool { return watched(t, d).Version == version+1 })
	dev.Run("ip", "addr", "change", "10.82.0.1/32", "dev", "lo", "valid_lft", "900", "preferred_lft", "900")
	dev.Run("ip", "addr", "add", "10.83.0.1/32", "dev", "lo")
	netnstest.Eventually(t, soon, "the next version", func() bool {
		lo, _ := watched(t, d).Link("lo")
		return slices.ContainsFunc(lo.Addrs, func(a Addr) bool { return a.Prefix.Addr() == netip.MustParseAddr("10.83.0.1") })
	})
	if got := watched(t, d).Version; got != version+2 {
		t.Errorf("version %d; want %d: a renewed lifetime is no change", got, version+2)
	}
	if watched(t, d).Overruns == 0 { // told with a version, which may be a later one
		t.Error("no event was lost: the test proves nothing")
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
