package discovery

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// Avahi and nss-mdns find everything: the way of most Linux desktops.
func TestAvahiClient(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{Services: []Service{web()}, Aliases: []Alias{{Name: "chat"}}})
	m.waitHeld(t)
	time.Sleep(2100 * time.Millisecond) // nothing is announced any more
	client := c.device(3).Avahi("client", "client")
	ll := linkLocal(d.NS, "eth0").String()
	tests := []struct{ line, want string }{
		{"avahi-resolve -4 -n server22.local", "10.53.0.2"},
		{"avahi-resolve -6 -n server22.local", ll},
		{"avahi-resolve -4 -n chat.local", "10.53.0.2"},
		{"avahi-resolve -a 10.53.0.2", "server22.local"},
		{"avahi-browse -rpt _http._tcp", `My\032Web;Web Site;local;server22.local;10.53.0.2;80;"path=/"`},
		{"avahi-browse -pt _printer._sub._http._tcp", `My\032Web`},
		{"avahi-browse -at", "My Web"},
		{"getent ahostsv4 server22.local", "10.53.0.2"},
		{"getent hosts 10.53.0.2", "server22.local"},
		{"getent ahosts server22.local", "10.53.0.2"},
	}
	for _, tt := range tests {
		out, code, took := client.Run(tt.line)
		t.Logf("%4d ms  %s", took.Milliseconds(), tt.line)
		if code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit %d, without %s:\n%s", tt.line, code, tt.want, out)
		}
	}
}

// systemd-resolved finds everything: the way of the other Linux desktops.
func TestResolvedClient(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{Services: []Service{web()}, Aliases: []Alias{{Name: "chat"}}})
	m.waitHeld(t)
	time.Sleep(2100 * time.Millisecond) // nothing is announced any more
	client := c.device(3).Resolved("MulticastDNS")
	for _, tt := range []struct{ line, want string }{
		{"resolvectl query -4 server22.local", "10.53.0.2"},
		{"resolvectl query -6 server22.local", linkLocal(d.NS, "eth0").String()},
		{"resolvectl query -4 chat.local", "10.53.0.2"},
		{"resolvectl query 10.53.0.2", "server22.local"},
		{"resolvectl service 'My Web' _http._tcp local", "server22.local:80"},
	} {
		out, code, took := client.Run(tt.line)
		t.Logf("%4d ms  %s", took.Milliseconds(), tt.line)
		if code != 0 || !strings.Contains(out, tt.want) || took > 2*time.Second {
			t.Errorf("%s: exit %d after %v, without %q:\n%s", tt.line, code, took, tt.want, out)
		}
	}
}

// Avahi as the rival: whoever comes second gets another name.
func TestAvahiRival(t *testing.T) {
	t.Parallel()
	t.Run("it was there first", func(t *testing.T) {
		t.Parallel()
		c := newCable(t)
		c.device(3).Avahi("server22", "server22")
		m := c.device(2).run(Config{})
		m.waitHeld(t)
		if h := m.State().Host(); h.Label() != "server22-2" {
			t.Errorf("state %+v", h)
		}
	})
	t.Run("we were there first", func(t *testing.T) {
		t.Parallel()
		c := newCable(t)
		m := c.device(2).run(Config{})
		m.waitHeld(t)
		s := c.device(3)
		rival := s.Avahi("server22", "server22-2")
		out, _, _ := rival.Run("avahi-resolve -4 -n server22.local")
		if !strings.Contains(out, "10.53.0.2") {
			t.Errorf("server22.local is %s", out)
		}
		if h := m.State().Host(); h.Label() != "server22" || !h.Held {
			t.Errorf("state %+v", h)
		}
	})
}

// zeroconfClient asks as python3-zeroconf does, which Home Assistant uses.
const zeroconfClient = `
import sys, time, socket
from zeroconf import Zeroconf, ServiceBrowser, ServiceInfo
zc = Zeroconf(interfaces=["10.53.0.3"])
begin = time.time()
info = zc.get_service_info("_http._tcp.local.", "My Web._http._tcp.local.", 3000)
print("info", info.server, info.port, [socket.inet_ntoa(a) for a in info.addresses], info.properties, int((time.time() - begin) * 1000))
class Listener:
    def add_service(self, zc, type_, name): print("add", name, flush=True)
    def update_service(self, *args): pass
    def remove_service(self, zc, type_, name): print("remove", name, flush=True)
ServiceBrowser(zc, "_http._tcp.local.", Listener())
sys.stdin.readline()
zc.close()
`

func TestPythonZeroconf(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // whose packages are Debian's
	need.Command(t, python)
	if exec.Command(python, "-c", "import zeroconf").Run() != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("this test needs python3-zeroconf")
		}
		t.Skip("this test needs python3-zeroconf")
	}
	c := newCable(t)
	m := c.device(2).run(Config{Services: []Service{web()}})
	m.waitHeld(t)
	time.Sleep(2100 * time.Millisecond)
	d := c.device(3)
	cmd := d.Command(python, "-c", zeroconfClient)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	client := d.DaemonCommand(cmd)
	client.WaitOutput("add My Web._http._tcp.local.", 15*time.Second)
	if want := "info server22.local. 80 ['10.53.0.2'] {b'path': b'/'}"; !strings.Contains(client.Output(), want) {
		t.Errorf("want %s:\n%s", want, client.Output())
	}
	m.stop()
	client.WaitOutput("remove My Web._http._tcp.local.", 5*time.Second)
	in.Close()
	t.Log(client.Output())
	netnstest.Eventually(t, 10*time.Second, "the client to end", func() bool {
		select {
		case <-client.Exited():
			return true
		default:
			return false
		}
	})
}

// Avahi on the same host: each keeps its name, also if it is the same one, and
// Avahi goes on getting its unicast.
func TestAvahiBeside(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"raspberrypi", "server22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCable(t)
			d := c.device(2)
			client := d.Avahi(name, name)
			m := d.run(Config{MulticastOnly: true, Services: []Service{web()}})
			m.waitHeld(t)
			time.Sleep(2500 * time.Millisecond)
			if h := m.State().Host(); h.Label() != "server22" || h.Conflicts != 0 {
				t.Errorf("state %+v", h)
			}
			for _, line := range []string{"avahi-resolve -4 -n server22.local", "avahi-resolve -4 -n " + name + ".local"} {
				if out, code, _ := client.Run(line); code != 0 || !strings.Contains(out, "10.53.0.2") {
					t.Errorf("%s: exit %d:\n%s", line, code, out)
				}
			}
			for _, fr := range c.where(isResponse) {
				if ptr := texts(fr.msg.Answer, "2.0.53.10.in-addr.arpa.", dns.TypePTR); len(ptr) > 0 && ptr[0] != name+".local." {
					t.Errorf("the address is called %v, and Avahi calls it %s", ptr, name)
				}
			}
			c.clear()
			c.askFrom(netip.AddrPortFrom(judgeIPv4, 40000), netip.AddrPortFrom(d.addr, port), d.mac(), query(name+".local.", dns.TypeA))
			if fr := c.await(time.Second, func(fr frame) bool { return fr.to.Port() == 40000 }); len(find(fr.msg.Answer, name+".local.", dns.TypeA)) == 0 {
				t.Errorf("Avahi answers %v", fr.msg)
			}
		})
	}
}
