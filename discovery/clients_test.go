package discovery

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// A shell is a device with an Avahi of its own, in which commands are run.
type shell struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan string
}

// avahi starts one. Its cache knows only what it hears from now on.
func (d *device) avahi(name string) *shell { return d.avahiNamed(name, name) }

// avahiNamed starts one that ends up with another name than it wants.
func (d *device) avahiNamed(name, got string) *shell {
	d.t.Helper()
	need.Command(d.t, "avahi-daemon", "avahi-resolve", "avahi-browse", "dbus-daemon", "unshare")
	script, err := filepath.Abs("testdata/avahi.sh")
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := d.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", script, name, got)
	in, err := cmd.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := d.Start(cmd); err != nil {
		d.t.Fatal(err)
	}
	w.Close()
	s := &shell{t: d.t, in: in, lines: make(chan string, 10000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(s.lines)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	d.t.Cleanup(func() {
		in.Close()
		timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		r.Close()
		<-read
	})
	s.until(regexp.MustCompile(`^READY$`))
	return s
}

var exitLine = regexp.MustCompile(`^EXIT (\d+) MS (\d+) OF `)

// until reads lines to one that matches, and returns those before it.
func (s *shell) until(re *regexp.Regexp) (before []string, match []string) {
	s.t.Helper()
	limit := time.After(40 * time.Second)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("the shell ended after:\n%s", strings.Join(before, "\n"))
			}
			if match := re.FindStringSubmatch(line); match != nil {
				return before, match
			}
			before = append(before, line)
		case <-limit:
			s.t.Fatalf("no %v within 40 s:\n%s", re, strings.Join(before, "\n"))
		}
	}
}

// run runs a command line and returns what it printed and how long it took.
func (s *shell) run(line string) (out string, code int, took time.Duration) {
	s.t.Helper()
	fmt.Fprintln(s.in, line)
	lines, match := s.until(exitLine)
	code, _ = strconv.Atoi(match[1])
	ms, _ := strconv.Atoi(match[2])
	return strings.Join(lines, "\n"), code, time.Duration(ms) * time.Millisecond
}

// Avahi and nss-mdns find everything: the way of most Linux desktops.
func TestAvahiClient(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{Services: []Service{web()}, Aliases: []Alias{{Name: "chat"}}})
	m.waitHeld(t)
	time.Sleep(2100 * time.Millisecond) // nothing is announced any more
	client := c.device(3).avahi("client")
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
		out, code, took := client.run(tt.line)
		t.Logf("%4d ms  %s", took.Milliseconds(), tt.line)
		if code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit %d, without %s:\n%s", tt.line, code, tt.want, out)
		}
	}
}

// Avahi as the rival: whoever comes second gets another name.
func TestAvahiRival(t *testing.T) {
	t.Parallel()
	t.Run("it was there first", func(t *testing.T) {
		t.Parallel()
		c := newCable(t)
		c.device(3).avahi("server22")
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
		rival := s.avahiNamed("server22", "server22-2")
		out, _, _ := rival.run("avahi-resolve -4 -n server22.local")
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
