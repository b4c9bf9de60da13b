package llmnr

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// systemd-resolved finds the bare name, both ways and in both families, and is
// told at once what there is not.
func TestResolved(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	server := l.host(2)
	waitPhase(t, server.run(Config{}), Held)
	client := l.host(3).Resolved("LLMNR")
	for _, tt := range []struct {
		line, want string
		code       int
	}{
		{"resolvectl query server22", "acquired via protocol LLMNR", 0}, // in the family that is faster,
		{"resolvectl query -4 server22", "10.53.0.2", 0},
		{"resolvectl query -6 server22", "fe80::", 0},
		{"resolvectl query -4 SERVER22", "10.53.0.2", 0},
		{"resolvectl query 10.53.0.2", "server22", 0},
		{"resolvectl query -t TXT server22", "does not have any RR of the requested type", 1},
	} {
		out, code, took := client.Run(tt.line)
		t.Logf("%4d ms  %s", took.Milliseconds(), tt.line)
		if code != tt.code || !strings.Contains(out, tt.want) || took > 2*time.Second {
			t.Errorf("%s: exit %d after %v, want %d with %q:\n%s", tt.line, code, took, tt.code, tt.want, out)
		}
	}
}

// asker is a host that sends packets of its own.
func (h *host) ask(addr netip.Addr) socket {
	h.t.Helper()
	s, err := inNamespace{h.NS}.asker(h.interfaces()[1], addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { s.Close() })
	return s
}

// exchange sends a packet and returns the first response within the time.
func exchange(t *testing.T, s socket, packet []byte, to netip.AddrPort) (*dns.Msg, netip.AddrPort) {
	t.Helper()
	if err := s.send(packet, to); err != nil {
		t.Fatal(err)
	}
	_ = s.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	buf := make([]byte, maxDatagram)
	n, from, err := s.receive(buf)
	if err != nil {
		return nil, from
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil {
		t.Fatal(err)
	}
	return m, from
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWire(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	server := l.host(2)
	r := server.run(Config{})
	s := l.host(3).ask(netip.MustParseAddr("10.53.0.3"))
	group := ipv4.group()

	// It answers from the start, and says that it is not certain yet.
	var first *dns.Msg
	for end := time.Now().Add(time.Second); first == nil && time.Now().Before(end); {
		first, _ = exchange(t, s, pack(t, question("server22.", dns.TypeA)), group)
	}
	if first == nil || !tentativeBit(first) {
		t.Fatalf("while checking it answers %v", first)
	}
	waitPhase(t, r, Held)
	m, from := exchange(t, s, pack(t, question("Server22.", dns.TypeA)), group)
	if m == nil {
		t.Fatal("no answer")
	}
	if want := netip.MustParseAddrPort("10.53.0.2:5355"); from != want {
		t.Errorf("it answers from %v, want %v", from, want)
	}
	if tentativeBit(m) || conflictBit(m) || m.RecursionAvailable || m.Question[0].Name != "Server22." {
		t.Errorf("it answers %v", m)
	}
	if got := texts(m); !slices.Equal(got, []string{"Server22. 30 IN A 10.53.0.2"}) {
		t.Errorf("it answers %q", got)
	}
	conflict := question("server22.", dns.TypeA)
	conflict.Authoritative = true
	for name, packet := range map[string][]byte{
		"another name":   pack(t, question("server2.", dns.TypeA)),
		"with a domain":  pack(t, question("server22.local.", dns.TypeA)),
		"a conflict":     pack(t, conflict),
		"garbage":        []byte("garbage that is no question"),
		"a cut question": pack(t, question("server22.", dns.TypeA))[:20],
	} {
		if m, _ := exchange(t, s, packet, group); m != nil {
			t.Errorf("%s is answered: %v", name, m)
		}
	}
	unicast := netip.MustParseAddrPort("10.53.0.2:5355")
	if m, _ := exchange(t, s, pack(t, question("server22.", dns.TypeA)), unicast); m != nil {
		t.Errorf("a unicast question over UDP is answered: %v", m)
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	server, client := l.host(2), l.host(3)
	waitPhase(t, server.run(Config{}), Held)
	var conn net.Conn
	client.Do(func() {
		var err error
		if conn, err = net.DialTimeout("tcp", "10.53.0.2:5355", time.Second); err != nil {
			t.Fatal(err)
		}
	})
	c := &dns.Conn{Conn: conn}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	for _, tt := range []struct {
		q    *dns.Msg
		want []string
	}{
		{question("2.0.53.10.in-addr.arpa.", dns.TypePTR), []string{"2.0.53.10.in-addr.arpa. 30 IN PTR server22."}},
		{question("server22.", dns.TypeA), []string{"server22. 30 IN A 10.53.0.2"}},
		{question("server22.", dns.TypeMX), nil},
	} {
		if err := c.WriteMsg(tt.q); err != nil {
			t.Fatal(err)
		}
		m, err := c.ReadMsg()
		if err != nil {
			t.Fatalf("%v: %v", tt.q.Question, err)
		}
		if got := texts(m); !slices.Equal(got, tt.want) || m.Rcode != dns.RcodeSuccess || m.Id != tt.q.Id {
			t.Errorf("%v: %v, want %q", tt.q.Question, m, tt.want)
		}
	}
	if err := c.WriteMsg(question("another.", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	if m, err := c.ReadMsg(); err == nil {
		t.Errorf("the name of another host is answered: %v", m)
	}
}

// Who comes second keeps silent; of two that come together, the one with the
// smaller address wins.
func TestConflict(t *testing.T) {
	t.Parallel()
	t.Run("one after the other", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t)
		first := l.host(9)
		waitPhase(t, first.run(Config{}), Held)
		second := l.host(2).run(Config{Retry: 2 * time.Second})
		waitPhase(t, second, Conflict)
		for _, link := range second.State().Links {
			if link.Family == "IPv4" && link.Rival != netip.MustParseAddr("10.53.0.9") {
				t.Errorf("the rival is %v", link.Rival)
			}
		}
		s := l.host(3).ask(netip.MustParseAddr("10.53.0.3"))
		if _, from := exchange(t, s, pack(t, question("server22.", dns.TypeA)), ipv4.group()); from.Addr() != netip.MustParseAddr("10.53.0.9") {
			t.Errorf("%v answers", from)
		}
		first.Down("eth0")
		waitPhase(t, second, Held)
	})
	t.Run("together", func(t *testing.T) {
		t.Parallel()
		l := newLAN(t)
		a, b := l.host(2), l.host(9)
		winner, loser := a.run(Config{}), b.run(Config{})
		phase := func(r *Responder) (p Phase) {
			for _, link := range r.State().Links {
				if link.Family == "IPv4" {
					p = link.Phase
				}
			}
			return p
		}
		deadline := time.Now().Add(8 * time.Second)
		for time.Now().Before(deadline) && (phase(winner) != Held || phase(loser) != Conflict) {
			time.Sleep(10 * time.Millisecond)
		}
		if phase(winner) != Held || phase(loser) != Conflict {
			t.Errorf("the smaller address is %s, the other %s", phase(winner), phase(loser))
		}
	})
}

// A new name is asked for at once, and the old one is not answered any more.
func TestChange(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	server := l.host(2)
	r := server.run(Config{})
	waitPhase(t, r, Held)
	server.Addr("eth0", "10.53.0.22/24")
	r.SetInterfaces(server.interfaces())
	s := l.host(3).ask(netip.MustParseAddr("10.53.0.3"))
	var m *dns.Msg
	for end := time.Now().Add(2 * time.Second); m == nil && time.Now().Before(end); {
		m, _ = exchange(t, s, pack(t, question("server22.", dns.TypeA)), ipv4.group())
	}
	if m == nil || len(m.Answer) != 2 || tentativeBit(m) {
		t.Errorf("with another address it answers %v", m)
	}
	if err := r.SetName("kitchen"); err != nil {
		t.Fatal(err)
	}
	for _, link := range r.State().Links {
		if link.Phase != Checking {
			t.Errorf("right after the change the new name is %s on %s", link.Phase, link.Interface)
		}
	}
	waitPhase(t, r, Held)
	if m, _ := exchange(t, s, pack(t, question("server22.", dns.TypeA)), ipv4.group()); m != nil {
		t.Errorf("the old name is answered: %v", m)
	}
	if m, _ := exchange(t, s, pack(t, question("kitchen.", dns.TypeA)), ipv4.group()); m == nil {
		t.Error("the new name is not answered")
	}
}
