package discovery

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"server22.local/appliance/internal/need"
)

// daemonConfig is read by the program that DAEMON names.
const daemonConfig = `
name = "server22"
state = %q
[discovery]
instance = "My Web"
aliases = ["chat"]
[http]
listen = [":8080"]
`

// TestDaemon judges the whole program instead of the library: the one that
// DAEMON names, or that of this module.
func TestDaemon(t *testing.T) {
	t.Parallel()
	daemon := os.Getenv("DAEMON")
	if daemon == "" {
		need.Command(t, "go")
		daemon = filepath.Join(t.TempDir(), "appliance")
		if out, err := exec.Command("go", "build", "-o", daemon, "../cmd/appliance").CombinedOutput(); err != nil {
			t.Fatalf("building the program: %v: %s", err, out)
		}
	}
	c := newCable(t)
	d := c.device(2)
	d.Addr("eth0", "2001:db8:53::2/64")
	dir := t.TempDir()
	config := filepath.Join(dir, "appliance.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, daemonConfig, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	program := d.Daemon(daemon, "run", "--config", config)
	first := c.await(5*time.Second, isProbe)
	t.Logf("first probe %v after the start", first.at.Sub(started))
	fr := c.await(5*time.Second, isResponse)
	t.Logf("first answer %v after the start", fr.at.Sub(started))
	time.Sleep(3 * time.Second)
	for _, fr := range c.where(func(fr frame) bool { return isIPv4(fr) }) {
		t.Logf("%v %v", fr.at.Sub(started), summary(fr.msg))
	}

	ll := linkLocal(d.NS, "eth0").String()
	ask := func(name string, typ uint16, want ...string) {
		t.Helper()
		time.Sleep(1050 * time.Millisecond)
		c.clear()
		asked := time.Now()
		c.ask(query(name, typ))
		var fr frame
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if found := c.where(isResponse); len(found) > 0 {
				fr = found[0]
				break
			}
		}
		if fr.msg == nil {
			t.Errorf("%s %s: no answer", name, dns.TypeToString[typ])
			return
		}
		t.Logf("%s %s after %v: %s", name, dns.TypeToString[typ], fr.at.Sub(asked), summary(fr.msg))
		checkTexts(t, name, fr.msg.Answer, want)
	}
	ask(host, dns.TypeA, "10.53.0.2")
	ask(host, dns.TypeAAAA, ll, "2001:db8:53::2")
	ask(host, dns.TypeHTTPS, denyHost)
	ask("chat.local.", dns.TypeA, "10.53.0.2")
	ask("2.0.53.10.in-addr.arpa.", dns.TypePTR, host)
	ask("_http._tcp.local.", dns.TypePTR, instance)
	ask(instance, dns.TypeSRV, "0 0 8080 "+host)
	ask("_services._dns-sd._udp.local.", dns.TypePTR, "_http._tcp.local.", "_socketio._tcp.local.")

	// The kernel's events.
	time.Sleep(1100 * time.Millisecond)
	c.clear()
	changed := time.Now()
	d.Addr("eth0", "10.53.0.22/24")
	fr = c.await(3*time.Second, func(fr frame) bool { return slices.Contains(ttlsOf(fr.msg, "server22.local. IN A 10.53.0.22"), 120) })
	t.Logf("a new address is announced after %v", fr.at.Sub(changed))
	time.Sleep(1100 * time.Millisecond)
	c.clear()
	changed = time.Now()
	d.DelAddr("eth0", "10.53.0.22/24")
	fr = c.await(3*time.Second, func(fr frame) bool { return slices.Contains(ttlsOf(fr.msg, "server22.local. IN A 10.53.0.22"), 0) })
	t.Logf("a lost address is withdrawn after %v", fr.at.Sub(changed))

	time.Sleep(1100 * time.Millisecond)
	c.hub.Down(d.port)
	time.Sleep(time.Second)
	c.clear()
	changed = time.Now()
	c.hub.Up(d.port)
	fr = c.await(5*time.Second, func(fr frame) bool { return isIPv4(fr) && isProbe(fr) })
	t.Logf("the cable is back; probed after %v", fr.at.Sub(changed))
	c.await(5*time.Second, func(fr frame) bool { return isIPv4(fr) && isResponse(fr) })

	// A docker bridge is no business of the LAN's; a second network is.
	time.Sleep(1500 * time.Millisecond)
	c.clear()
	d.Bridge("docker0")
	d.Addr("docker0", "172.17.0.1/16")
	c.silence(time.Second)
	time.Sleep(200 * time.Millisecond)
	c.clear()
	c.askFrom(netip.AddrPortFrom(judgeIPv4, 40000), netip.AddrPortFrom(d.addr, port), d.mac(), query(host, dns.TypeA))
	fr = c.await(time.Second, isResponse)
	checkTexts(t, "legacy", fr.msg.Answer, []string{"10.53.0.2"})

	c.clear()
	stopped := time.Now()
	program.Stop()
	byes := c.where(isResponse)
	for _, fr := range byes {
		t.Logf("goodbye %v after SIGTERM: %s", fr.at.Sub(stopped), summary(fr.msg))
	}
	if len(byes) < 2 {
		t.Errorf("%d goodbyes", len(byes))
	}
	t.Logf("ended after %v with %d", time.Since(stopped), program.ExitCode())

	// Another host takes the name meanwhile; what is won instead is kept.
	c.clear()
	rival := c.defend(host, judgeIPv4)
	program = d.Daemon(daemon, "run", "--config", config)
	second := func(fr frame) bool {
		return isIPv4(fr) && len(find(fr.msg.Answer, "server22-2.local.", dns.TypeA)) > 0
	}
	c.await(5*time.Second, second)
	time.Sleep(200 * time.Millisecond)
	program.Kill()
	c.clear()
	program = d.Daemon(daemon, "run", "--config", config)
	c.await(5*time.Second, second)
	for _, fr := range c.where(isProbe) {
		if fr.msg.Question[0].Name == host {
			t.Errorf("after a restart %s is probed for", host)
		}
	}
	rival()
	c.ask(flushed(response("server22.local. 0 IN A 10.53.0.99")))
	left := time.Now()
	fr = c.await(5*time.Second, func(fr frame) bool { return isIPv4(fr) && len(find(fr.msg.Answer, host, dns.TypeA)) > 0 })
	t.Logf("the configured name is ours %v after the rival left", fr.at.Sub(left))
	if t.Failed() {
		t.Log(program.Output())
	}
}

func summary(m *dns.Msg) string {
	var s strings.Builder
	for _, q := range m.Question {
		s.WriteString(fmt.Sprintf("%s %s? ", q.Name, dns.TypeToString[q.Qtype]))
	}
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, r := range section {
			h := r.Header()
			s.WriteString(fmt.Sprintf("%d:%s %d %s %s; ", i, h.Name, h.Ttl, dns.TypeToString[h.Rrtype], r.String()[len(h.String()):]))
		}
	}
	return s.String()
}
