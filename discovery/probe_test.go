package discovery

import (
	"cmp"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// web is the service of most tests.
func web() Service {
	return Service{Instance: "My Web", Type: "_http._tcp", Port: 80, TXT: []string{"path=/"}, Subtypes: []string{"_printer"}}
}

const (
	host     = "server22.local."
	instance = `My\ Web._http._tcp.local.`
)

// RFC 6762 §8.1: a random wait of 0 to 250 ms, then three probes 250 ms apart
// of type ANY, asking for unicast answers at first.
func TestProbes(t *testing.T) {
	waits := make(map[time.Duration]bool)
	for range 20 {
		inLab(t, func(l *lab) {
			p := l.lanTap()
			start := time.Now()
			l.run("server22", Config{Services: []Service{web()}})
			settle()
			probes := p.probes()
			if len(probes) != 3 {
				t.Fatalf("%d probes, want 3", len(probes))
			}
			wait := probes[0].at.Sub(start)
			waits[wait] = true
			if wait < 0 || wait > 250*time.Millisecond {
				t.Errorf("first probe after %v", wait)
			}
			for i, probe := range probes {
				checkProbe(t, probe, i)
				if i > 0 && probe.at.Sub(probes[i-1].at) != 250*time.Millisecond {
					t.Errorf("probe %d came %v after the one before", i, probe.at.Sub(probes[i-1].at))
				}
			}
			if first := p.responses()[0]; first.at.Sub(probes[2].at) != 250*time.Millisecond {
				t.Errorf("announced %v after the last probe", first.at.Sub(probes[2].at))
			}
		})
	}
	if len(waits) < 10 {
		t.Errorf("only %d different waits of 20: not random", len(waits))
	}
}

func checkProbe(t *testing.T, s *sighting, i int) {
	t.Helper()
	if s.from.Port() != 5353 || s.to.Addr() != groupIPv4 || s.msg.Id != 0 {
		t.Errorf("probe from %v to %v, id %d", s.from, s.to, s.msg.Id)
	}
	if len(s.msg.Question) != 2 {
		t.Fatalf("questions %v, want those for the host and the instance together", s.msg.Question)
	}
	for _, q := range s.msg.Question {
		qu := q.Qclass&(1<<15) != 0
		if q.Qtype != dns.TypeANY || q.Qclass&^(1<<15) != dns.ClassINET || qu != (i < 2) {
			t.Errorf("probe %d asks %v", i, q)
		}
	}
	if s.msg.Question[0].Name != host || s.msg.Question[1].Name != instance {
		t.Errorf("probe %d asks for %v", i, s.msg.Question)
	}
	// §8.2: what will be announced is in the authority section, without the
	// cache-flush bit (§10.2).
	for name, typ := range map[string]uint16{host: dns.TypeA, instance: dns.TypeSRV} {
		if found := find(s.msg.Ns, name, typ); len(found) != 1 || found[0].Header().Class != dns.ClassINET {
			t.Errorf("probe %d proposes %v of %s", i, found, name)
		}
	}
	if len(s.msg.Ns) != 4 {
		t.Errorf("probe %d proposes %v, want A AAAA SRV TXT", i, s.msg.Ns)
	}
}

// §8.3: two announcements, one second apart, of all records, unique ones with
// the cache-flush bit (§10.2), TTLs as in §10, header as in §18.
func TestAnnouncements(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		l.run("server22", Config{Services: []Service{web()}})
		settle()
		rs := p.responses()
		if len(rs) != 2 {
			t.Fatalf("%d announcements, want 2", len(rs))
		}
		if gap := rs[1].at.Sub(rs[0].at); gap != time.Second {
			t.Errorf("%v apart, want 1s", gap)
		}
		for _, s := range rs {
			checkHeader(t, s)
			checkAnnounced(t, s.msg)
		}
	})
}

func checkHeader(t *testing.T, s *sighting) {
	t.Helper()
	m := s.msg
	if m.Id != 0 || !m.Authoritative || len(m.Question) != 0 || m.Opcode != 0 || m.Rcode != 0 ||
		m.Truncated || m.RecursionDesired || m.RecursionAvailable || m.Zero || m.AuthenticatedData || m.CheckingDisabled {
		t.Errorf("header of a multicast response: %v", m.MsgHdr)
	}
	if s.from.Port() != 5353 || s.to.Port() != 5353 {
		t.Errorf("response from %v to %v", s.from, s.to)
	}
}

func checkAnnounced(t *testing.T, m *dns.Msg) {
	t.Helper()
	want := []struct {
		name  string
		typ   uint16
		ttl   uint32
		flush bool
		text  string
	}{
		{host, dns.TypeA, 120, true, "192.168.7.2"},
		{host, dns.TypeAAAA, 120, true, "fe80::2"},
		{"2.7.168.192.in-addr.arpa.", dns.TypePTR, 120, true, host},
		{"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa.", dns.TypePTR, 120, true, host},
		{instance, dns.TypeSRV, 120, true, "0 0 80 " + host},
		{instance, dns.TypeTXT, 4500, true, `"path=/"`},
		{"_http._tcp.local.", dns.TypePTR, 4500, false, instance},
		{"_printer._sub._http._tcp.local.", dns.TypePTR, 4500, false, instance},
		{"_services._dns-sd._udp.local.", dns.TypePTR, 4500, false, "_http._tcp.local."},
	}
	for _, w := range want {
		found := find(m.Answer, w.name, w.typ)
		if len(found) != 1 {
			t.Errorf("%d records %s of %s announced", len(found), dns.TypeToString[w.typ], w.name)
			continue
		}
		h := found[0].Header()
		text := found[0].String()[len(h.String()):]
		if flush := h.Class&(1<<15) != 0; flush != w.flush || h.Ttl != w.ttl || text != w.text {
			t.Errorf("%v, want TTL %d, flush %v, %s", found[0], w.ttl, w.flush, w.text)
		}
	}
	if len(m.Answer) != len(want) {
		t.Errorf("%d records announced, want %d:\n%v", len(m.Answer), len(want), m)
	}
}

// Not a word before the names are won, and none of a name being probed for.
func TestSilentWhileProbing(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		l.run("server22", Config{})
		for range 7 {
			p.send(query(host, dns.TypeA))
			p.silence(100 * time.Millisecond)
		}
	})
}

// §8.1: there is no probing before there is an address.
func TestNoAddressNoProbe(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{Interfaces: []Interface{eth(2, "eth0")}})
		time.Sleep(time.Minute)
		if n := len(p.all()); n != 0 {
			t.Errorf("%d packets without an address", n)
		}
		m.SetInterfaces([]Interface{eth0()})
		<-m.Ready()
	})
}

// §8.2.1: the examples of the RFC, and ties.
func TestTieBreak(t *testing.T) {
	a := func(b ...byte) proposal { return proposal{1, 1, b} }
	tests := []struct {
		name         string
		ours, theirs []proposal
		want         int
	}{
		{"the RFC's", []proposal{a(169, 254, 99, 200)}, []proposal{a(169, 254, 200, 50)}, -1},
		{"bytes are unsigned", []proposal{a(200)}, []proposal{a(99)}, 1},
		{"same", []proposal{a(1), a(2)}, []proposal{a(2), a(1)}, 0},
		{"type before data", []proposal{{1, 28, []byte{0}}}, []proposal{a(255)}, 1},
		{"class before type", []proposal{{2, 1, nil}}, []proposal{{1, 28, nil}}, 1},
		{"more records win", []proposal{a(1)}, []proposal{a(1), a(2)}, -1},
		{"longer data wins", []proposal{a(1, 0)}, []proposal{a(1)}, 1},
	}
	for _, tt := range tests {
		if got := tieBreak(tt.ours, tt.theirs); cmp.Compare(got, 0) != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// rivalProbe is another host's probe for our name.
func rivalProbe(records ...string) *dns.Msg {
	m := query(host, dns.TypeANY)
	for _, r := range records {
		m.Ns = append(m.Ns, rr(r))
	}
	return m
}

// §8.2: the loser of a tie-break waits a second and probes again; if nobody
// has taken the name by then, it is ours.
func TestTieLostThenWon(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{})
		time.Sleep(300 * time.Millisecond) // the first probe is out
		p.clear()
		lost := time.Now()
		p.send(rivalProbe("server22.local. 120 IN AAAA fe80::99", "server22.local. 120 IN A 192.168.7.99"))
		settle()
		probes := p.probes()
		if len(probes) != 3 || probes[0].at.Sub(lost) != time.Second {
			t.Fatalf("%d probes after the tie, the first after %v; want 3 after 1s", len(probes), probes[0].at.Sub(lost))
		}
		if h := m.State().Host(); !h.Held || h.Label() != "server22" {
			t.Errorf("state %+v", h)
		}
	})
}

func TestTieWon(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		start := time.Now()
		m := l.run("server22", Config{})
		time.Sleep(300 * time.Millisecond)
		p.send(rivalProbe("server22.local. 120 IN A 192.168.7.1", "server22.local. 120 IN AAAA fe80::1"))
		<-m.Ready()
		if took := time.Since(start); took > time.Second {
			t.Errorf("ready after %v: the winner goes on", took)
		}
	})
}

func TestTieEqual(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		start := time.Now()
		m := l.run("server22", Config{})
		time.Sleep(300 * time.Millisecond)
		p.send(rivalProbe("server22.local. 120 IN A 192.168.7.2", "server22.local. 120 IN AAAA fe80::2"))
		<-m.Ready()
		if took := time.Since(start); took > time.Second {
			t.Errorf("ready after %v: the same records are no rival's", took)
		}
	})
}

// Whoever wins every tie-break without ever taking the name gets it.
func TestTieForEver(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{})
		for range 200 {
			p.send(rivalProbe("server22.local. 120 IN AAAA fe80::99"))
			time.Sleep(100 * time.Millisecond)
		}
		settle()
		if h := m.State().Host(); !h.Held || h.Label() != "server22-2" {
			t.Errorf("state %+v", h)
		}
	})
}

// Two of ours, switched on together, with one name: both are found.
func TestTwins(t *testing.T) {
	for range 10 {
		inLab(t, func(l *lab) {
			a := l.run("a", Config{Name: "server22", Services: []Service{web()}})
			b := l.run("b", Config{
				Name: "server22", Services: []Service{web()},
				Interfaces: []Interface{eth(2, "eth0", "192.168.7.3/24", "fe80::3/64")},
			})
			settle()
			names := map[string]bool{a.State().Host().Name: true, b.State().Host().Name: true}
			if !names["server22.local."] || !names["server22-2.local."] {
				t.Errorf("names %v", names)
			}
			instances := map[string]bool{a.State().Names[1].Name: true, b.State().Names[1].Name: true}
			if len(instances) != 2 {
				t.Errorf("instances %v", instances)
			}
			for _, m := range []*machine{a, b} {
				for _, n := range m.State().Names {
					if !n.Held {
						t.Errorf("not held: %+v", n)
					}
				}
			}
		})
	}
}
