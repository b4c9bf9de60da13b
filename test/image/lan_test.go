package image

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

// What the LAN gives to the card.
const (
	cardMAC     = "52:54:00:22:22:22"
	cardAddress = "10.84.0.22"
)

// lan is a switch with a DHCP server, a desktop, and a socket for the card's
// cable.
type lan struct {
	t     *testing.T
	ns    *netnstest.NS
	shell *netnstest.Shell // the desktop's, which looks names up by mDNS
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	need.Root(t)
	need.Command(t, "dnsmasq", "curl", "ssh", "ip")
	l := &lan{t: t, ns: netnstest.New(t)}
	l.ns.Run("ip", "tuntap", "add", "tap0", "mode", "tap")
	l.ns.Up("tap0")
	l.ns.Bridge("br0", "tap0")
	l.ns.Addr("br0", "10.84.0.1/24")
	conf := filepath.Join(t.TempDir(), "dnsmasq.conf")
	write(t, conf, `interface=br0
bind-interfaces
no-resolv
no-hosts
domain=lan
dhcp-range=10.84.0.100,10.84.0.200,1h
dhcp-host=`+cardMAC+`,`+cardAddress+`
dhcp-leasefile=`+filepath.Join(t.TempDir(), "leases")+"\n")
	l.ns.Daemon("dnsmasq", "-k", "-C", conf, "--user=root")
	l.shell = l.ns.Avahi("desktop", "desktop")
	return l
}

// try runs a command line at the desktop.
func (l *lan) try(line string) (out string, ok bool) {
	out, code, _ := l.shell.Run(line)
	return out, code == 0
}

// run is try for what must succeed.
func (l *lan) run(line string) string {
	l.t.Helper()
	out, ok := l.try(line)
	if !ok {
		l.t.Fatalf("%s:\n%s", line, out)
	}
	return out
}

// within waits until a command line prints a text, and reports whether it
// does. If not the test has failed, and goes on: a boot takes its time.
func (l *lan) within(limit time.Duration, line, want string) bool {
	l.t.Helper()
	var out string
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if out, _ = l.try(line); strings.Contains(out, want) {
			return true
		}
	}
	l.t.Errorf("%s: within %v not %q, but:\n%s", line, limit, want, out)
	l.log("FAILED: %s: not %q", line, want)
	return false
}

// log tells how far the test is.
func (l *lan) log(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%4.0fs] %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

var began = time.Now()

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
