package avahi

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/discovery"
	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

func TestMain(m *testing.M) {
	// The tests sleep most of the time, side by side.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const avahiConfig = `[server]
host-name=%s
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
[publish]
publish-hinfo=no
publish-workstation=no
`

// A server is a host with a message bus and an Avahi of its own.
type server struct {
	*netnstest.NS
	t       *testing.T
	address string // of the bus
	config  string
	daemon  *netnstest.Daemon
}

// lan has the server at 10.53.0.2 and a client at 10.53.0.3.
func lan(t *testing.T, name string) (*server, *netnstest.NS) {
	t.Helper()
	need.Root(t)
	need.Command(t, "avahi-daemon", "dbus-daemon", "unshare", "avahi-resolve", "avahi-browse")
	s := &server{NS: netnstest.New(t), t: t}
	client := netnstest.New(t)
	netnstest.Veth(t, s.NS, "eth0", client, "eth0")
	s.Addr("eth0", "10.53.0.2/24")
	client.Addr("eth0", "10.53.0.3/24")
	s.address, s.config = s.MessageBus(), filepath.Join(t.TempDir(), "avahi.conf")
	write(t, s.config, fmt.Sprintf(avahiConfig, name))
	s.start()
	return s, client
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *server) start() {
	s.t.Helper()
	cmd := s.Command("unshare", "--mount", "sh", "-c",
		"mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot -f "+s.config)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+s.address)
	s.daemon = s.DaemonCommand(cmd)
}

func (s *server) interfaces() (list []discovery.Interface) {
	s.t.Helper()
	s.Do(func() {
		var err error
		if list, err = discovery.SystemInterfaces(); err != nil {
			s.t.Error(err)
		}
	})
	return list
}

func (s *server) content() Content {
	return Content{
		Name: "server22", Aliases: []discovery.Alias{{Name: "chat"}},
		Services: []discovery.Service{{
			Instance: "My Web", Type: "_http._tcp", Subtypes: []string{"_printer"}, Port: 80, TXT: []string{"path=/"},
		}},
		Interfaces: s.interfaces(),
	}
}

func (s *server) publisher(cfg Config) *Publisher {
	cfg.Content, cfg.Address = s.content(), s.address
	cfg.Logger = slog.New(slog.NewTextHandler(s.t.Output(), nil))
	cfg.sameNetwork = func(uint32) bool { return true }
	return New(cfg)
}

// run starts a publisher; stop ends it and returns what it returned.
func (s *server) run(p *Publisher) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	s.t.Cleanup(func() {
		if err := stop(); err != nil {
			s.t.Error(err)
		}
	})
	return stop
}

// waitHeld waits until all is published, the host as name.
func waitHeld(t *testing.T, p *Publisher, name string) {
	t.Helper()
	netnstest.Eventually(t, 15*time.Second, name+" to be published", func() bool {
		s := p.State()
		for _, n := range s.Names {
			if !n.Held {
				return false
			}
		}
		return s.Host().Label() == name
	})
}

func check(t *testing.T, shell *netnstest.Shell, line, want string) {
	t.Helper()
	out, code, took := shell.Run(line)
	t.Logf("%4d ms  %s", took.Milliseconds(), line)
	if code != 0 || !strings.Contains(out, want) {
		t.Errorf("%s: exit %d, without %s:\n%s", line, code, want, out)
	}
}

// A client on the network finds what Avahi publishes for us, and the host by
// its own name; address and restart are followed, and the end is told.
func TestPublish(t *testing.T) {
	t.Parallel()
	s, other := lan(t, "raspberrypi")
	p := s.publisher(Config{})
	stop := s.run(p)
	waitHeld(t, p, "server22")
	client := other.Avahi("client", "client")
	for line, want := range map[string]string{
		"avahi-resolve -4 -n server22.local":        "10.53.0.2",
		"avahi-resolve -6 -n server22.local":        "fe80::",
		"avahi-resolve -4 -n chat.local":            "10.53.0.2",
		"avahi-resolve -4 -n raspberrypi.local":     "10.53.0.2",
		"avahi-resolve -a 10.53.0.2":                "raspberrypi.local",
		"avahi-browse -rpt _http._tcp":              `My\032Web;Web Site;local;server22.local;10.53.0.2;80;"path=/"`,
		"avahi-browse -pt _printer._sub._http._tcp": `My\032Web`,
	} {
		check(t, client, line, want)
	}

	s.DelAddr("eth0", "10.53.0.2/24")
	s.Addr("eth0", "10.53.0.22/24")
	changed := time.Now()
	p.Set(s.content())
	netnstest.Eventually(t, 10*time.Second, "the new address", func() bool {
		out, _, _ := client.Run("avahi-resolve -4 -n server22.local")
		return strings.Contains(out, "10.53.0.22")
	})
	t.Logf("a new address is found after %v", time.Since(changed))

	s.daemon.Stop()
	netnstest.Eventually(t, 5*time.Second, "the state to tell that Avahi is gone", func() bool { return !p.State().Host().Held })
	s.start()
	waitHeld(t, p, "server22")
	check(t, client, "avahi-resolve -4 -n server22.local", "10.53.0.22")

	if err := stop(); err != nil {
		t.Error(err)
	}
	netnstest.Eventually(t, 5*time.Second, "goodbye", func() bool {
		out, _, _ := client.Run("avahi-browse -pt _http._tcp")
		return !strings.Contains(out, "My")
	})
}

// Another host has all the names: ours get numbers, which are kept over a
// restart, and given back when they are free again.
func TestCollision(t *testing.T) {
	t.Parallel()
	s, other := lan(t, "raspberrypi")
	client := other.Avahi("server22", "server22")
	store := discovery.NewFileStore(filepath.Join(t.TempDir(), "names.json"))
	p := s.publisher(Config{Store: store})
	stop := s.run(p)
	waitHeld(t, p, "server22-2")
	if h := p.State().Host(); h.Wanted != "server22.local." || h.Conflicts != 1 {
		t.Errorf("state %+v", h)
	}
	check(t, client, "avahi-resolve -4 -n server22-2.local", "10.53.0.2")
	check(t, client, "avahi-resolve -4 -n server22.local", "10.53.0.3")
	check(t, client, "avahi-browse -rpt _http._tcp", "server22-2.local;10.53.0.2")
	if err := stop(); err != nil {
		t.Error(err)
	}

	p = s.publisher(Config{Store: store, Retry: 2 * time.Second})
	s.run(p)
	waitHeld(t, p, "server22-2")
	if h := p.State().Host(); h.Conflicts != 0 {
		t.Errorf("the name that was won is not remembered: %+v", h)
	}
	// While the rival is there, trying costs nothing.
	time.Sleep(5 * time.Second)
	if h := p.State().Host(); h.Label() != "server22-2" || !h.Held {
		t.Errorf("state %+v", h)
	}
	other.Down("eth0")
	waitHeld(t, p, "server22")
	if won, err := store.Load("server22.local."); won != "" || err != nil {
		t.Errorf("%q is still remembered, %v", won, err)
	}
}

// The configured name is ours again as soon as its holder says goodbye.
func TestRivalLeaves(t *testing.T) {
	t.Parallel()
	s, other := lan(t, "raspberrypi")
	rival := other.Avahi("server22", "server22")
	p := s.publisher(Config{})
	s.run(p)
	waitHeld(t, p, "server22-2")
	if out, code, _ := rival.Run("kill $(cat /run/avahi-daemon/pid)"); code != 0 {
		t.Fatalf("ending the rival: %s", out)
	}
	waitHeld(t, p, "server22")
	client := other.Avahi("client", "client")
	check(t, client, "avahi-browse -rpt _http._tcp", "server22.local;10.53.0.2")
}

// An alias that another host has is left to it.
func TestAliasTaken(t *testing.T) {
	t.Parallel()
	s, other := lan(t, "raspberrypi")
	other.Avahi("chat", "chat")
	p := s.publisher(Config{})
	s.run(p)
	netnstest.Eventually(t, 15*time.Second, "the alias to be given up", func() bool {
		for _, n := range p.State().Names {
			if n.Kind == discovery.AliasName {
				return n.Name == "" && !n.Held && n.Conflicts == 1
			}
		}
		return false
	})
}

// The other ways to name the host: as Avahi does, or Avahi as we do.
func TestHostNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		way  HostName
		name string
		gone string
	}{{Own, "raspberrypi", "server22"}, {Rename, "server22", "raspberrypi"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, other := lan(t, "raspberrypi")
			p := s.publisher(Config{Host: tt.way})
			s.run(p)
			waitHeld(t, p, tt.name)
			if h := p.State().Host(); h.Wanted != h.Name {
				t.Errorf("state %+v", h)
			}
			client := other.Avahi("client", "client")
			check(t, client, "avahi-resolve -4 -n "+tt.name+".local", "10.53.0.2")
			check(t, client, "avahi-browse -rpt _http._tcp", tt.name+".local;10.53.0.2")
			if out, _, _ := client.Run("timeout 2 avahi-resolve -4 -n " + tt.gone + ".local"); strings.Contains(out, "10.53") {
				t.Errorf("%s is there too: %s", tt.gone, out)
			}
		})
	}
}

// The machine itself is called as we want to be: Avahi has the name already.
func TestOwnName(t *testing.T) {
	t.Parallel()
	s, other := lan(t, "server22")
	p := s.publisher(Config{})
	s.run(p)
	waitHeld(t, p, "server22")
	client := other.Avahi("client", "client")
	check(t, client, "avahi-resolve -4 -n server22.local", "10.53.0.2")
	check(t, client, "avahi-browse -rpt _http._tcp", "server22.local;10.53.0.2")
}

// Where there is no Avahi nothing is published, and one that comes is noticed.
func TestPresence(t *testing.T) {
	t.Parallel()
	s, _ := lan(t, "raspberrypi")
	s.daemon.Stop()
	p := s.publisher(Config{})
	if p.Present(t.Context()) {
		t.Error("it is there")
	}
	found := make(chan error, 1)
	go func() { found <- p.Await(t.Context()) }()
	s.start()
	select {
	case err := <-found:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it is not noticed")
	}
	if strange := New(Config{Address: s.address}); strange.Present(t.Context()) {
		t.Error("an Avahi of another network is taken for ours")
	}
	if err := New(Config{Address: "unix:path=/nowhere"}).Run(t.Context()); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("without a message bus: %v", err)
	}
}
