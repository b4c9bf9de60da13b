package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// lan is a switch with hosts on it.
type lan struct {
	t     *testing.T
	hub   *netnstest.NS
	ports int
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	need.Root(t)
	l := &lan{t: t, hub: netnstest.New(t)}
	l.hub.Bridge("br0")
	return l
}

// host is a machine on the LAN, with an IPv4 address and a link-local one.
func (l *lan) host(n int) *netnstest.NS {
	l.t.Helper()
	ns := netnstest.New(l.t)
	l.ports++
	port := fmt.Sprint("port", l.ports)
	netnstest.Veth(l.t, l.hub, port, ns, "eth0")
	l.hub.Enslave("br0", port)
	ns.Addr("eth0", fmt.Sprintf("10.53.0.%d/24", n))
	return ns
}

// appliance starts one on a host, as a user would: without configuration.
func (l *lan) appliance(ns *netnstest.NS, args ...string) *netnstest.Daemon {
	l.t.Helper()
	cmd := ns.Command(binary(l.t), append([]string{"run", "--state", l.t.TempDir(), "--listen", ":80"}, args...)...)
	cmd.Env = append(os.Environ(), "APPLIANCE_CONFIG="+os.DevNull)
	return ns.DaemonCommand(cmd)
}

// finds waits until a command of a shell prints what is wanted.
func finds(t *testing.T, s *netnstest.Shell, line, want string, limit time.Duration) {
	t.Helper()
	var out string
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		if out, _, _ = s.Run(line); strings.Contains(out, want) {
			return
		}
	}
	t.Errorf("%s: within %v not %q, but:\n%s", line, limit, want, out)
}

// TestFoundByName is the promise: another host finds the appliance by its
// name and in the list of web servers, opens it, follows it to a new address,
// and no longer finds it once it has ended.
func TestFoundByName(t *testing.T) {
	l := newLAN(t)
	server, client := l.host(2), l.host(3)
	a := l.appliance(server)
	shell := client.Avahi("client", "client")

	finds(t, shell, "avahi-resolve -4 -n server22.local", "10.53.0.2", 10*time.Second)
	finds(t, shell, "avahi-resolve -6 -n server22.local", "fe80::", 5*time.Second)
	finds(t, shell, "avahi-browse -rpt _http._tcp", "server22.local;10.53.0.2;80", 10*time.Second)
	finds(t, shell, "curl -sS -m 5 http://server22.local/healthz", "ok", 10*time.Second)

	server.Addr("eth0", "10.53.0.22/24")
	finds(t, shell, "avahi-resolve -a 10.53.0.22", "server22.local", 5*time.Second)

	begin := time.Now()
	a.Stop()
	if took := time.Since(begin); took > 5*time.Second || a.ExitCode() != 0 {
		t.Errorf("SIGTERM: %v, exit %d", took, a.ExitCode())
	}
	// A goodbye takes effect after a second (RFC 6762 §10.1).
	netnstest.Eventually(t, 15*time.Second, "the name is gone", func() bool {
		out, _, _ := shell.Run("avahi-resolve -4 -n server22.local")
		return !strings.Contains(out, "10.53")
	})
	if out, _, _ := shell.Run("avahi-browse -pt _http._tcp"); strings.Contains(out, "server22") {
		t.Errorf("after the end it is still in the list: %s", out)
	}
}

// TestTwoOfOneName: the second device takes another name, says so, and opens
// under it.
func TestTwoOfOneName(t *testing.T) {
	l := newLAN(t)
	first, second, client := l.host(2), l.host(3), l.host(4)
	l.appliance(first)
	shell := client.Avahi("client", "client")
	finds(t, shell, "avahi-resolve -4 -n server22.local", "10.53.0.2", 10*time.Second)

	l.appliance(second)
	finds(t, shell, "avahi-resolve -4 -n server22-2.local", "10.53.0.3", 15*time.Second)
	finds(t, shell, "avahi-resolve -4 -n server22.local", "10.53.0.2", 5*time.Second)
	finds(t, shell, "curl -sS -m 5 http://server22-2.local/api/v1/status", "server22 is taken", 10*time.Second)
}

// TestNeverWaitsForTheNetwork: HTTP answers within a second of the start on a
// machine whose cable is out.
func TestNeverWaitsForTheNetwork(t *testing.T) {
	need.Root(t)
	ns := netnstest.New(t)
	cmd := ns.Command(binary(t), "run", "--state", filepath.Join(t.TempDir(), "state"), "--listen", "127.0.0.1:8080")
	cmd.Env = append(os.Environ(), "APPLIANCE_CONFIG="+os.DevNull)
	begin := time.Now()
	ns.DaemonCommand(cmd)
	netnstest.Eventually(t, 10*time.Second, "HTTP answers", func() bool {
		curl := ns.Command("curl", "-fsS", "-m", "1", "http://127.0.0.1:8080/healthz")
		return ns.Start(curl) == nil && curl.Wait() == nil
	})
	t.Logf("HTTP answered after %v", time.Since(begin).Round(time.Millisecond))
}
