package discovery

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// flushed makes records unique, as announcements do.
func flushed(m *dns.Msg) *dns.Msg {
	for _, r := range m.Answer {
		r.Header().Class |= 1 << 15
	}
	return m
}

// defend lets the tap hold a name, as its owner would: any probe for it is
// answered at once.
func (p *tap) defend(name, addr string) (stop func()) {
	return p.listen(func(s *sighting) {
		for _, q := range s.msg.Question {
			if !s.msg.Response && len(s.msg.Ns) > 0 && dns.CanonicalName(q.Name) == name {
				p.send(flushed(response(name + " 120 IN A " + addr)))
			}
		}
	})
}

// §9: a name that another host has is left to it; the next one is probed for,
// and remembered; who has it is told.
func TestRename(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		stop := p.defend(host, "192.168.7.99")
		defer stop()
		store := NewFileStore(filepath.Join(t.TempDir(), "names.json"))
		m := l.run("server22", Config{Store: store})
		<-m.Ready()
		settle()
		h := m.State().Host()
		if !h.Held || h.Name != "server22-2.local." || h.Wanted != host || h.Conflicts != 1 {
			t.Errorf("state %+v", h)
		}
		if h.Rival == nil || h.Rival.Address != netip.MustParseAddr("192.168.7.99") || h.Rival.Interface != "eth0" || h.Rival.Name != host {
			t.Errorf("rival %+v", h.Rival)
		}
		p.clear()
		p.send(query("server22-2.local.", dns.TypeA))
		p.await(time.Second)
		m.stop()

		// After a restart the won name is probed for first.
		p.clear()
		again := l.run("again", Config{Name: "server22", Store: store})
		<-again.Ready()
		for _, probe := range p.probes() {
			if got := probe.msg.Question[0].Name; got != "server22-2.local." {
				t.Errorf("probed for %s after a restart", got)
			}
		}
	})
}

// The configured name is tried again after a while, without giving up the
// other; and if it is free, taken.
func TestRetry(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		stop := p.defend(host, "192.168.7.99")
		store := NewFileStore(filepath.Join(t.TempDir(), "names.json"))
		m := l.run("server22", Config{Store: store, Services: []Service{web()}})
		settle()
		time.Sleep(DefaultRetry + time.Minute) // the rival is there still
		if h := m.State().Host(); !h.Held || h.Name != "server22-2.local." || h.Conflicts != 2 {
			t.Errorf("after the first try: %+v", h)
		}
		stop()
		p.clear()
		time.Sleep(DefaultRetry)
		if h := m.State().Host(); !h.Held || h.Name != host {
			t.Errorf("after the second try: %+v", h)
		}
		if won, err := store.Load(host); won != "" || err != nil {
			t.Errorf("remembered %q, %v", won, err)
		}
		gone, there, target := false, false, false
		for _, s := range p.responses() {
			for _, r := range find(s.msg.Answer, "server22-2.local.", dns.TypeA) {
				gone = gone || r.Header().Ttl == 0
			}
			for _, r := range find(s.msg.Answer, host, dns.TypeA) {
				there = there || r.Header().Ttl == 120
			}
			for _, r := range find(s.msg.Answer, instance, dns.TypeSRV) {
				target = target || r.(*dns.SRV).Target == host && r.Header().Ttl == 120
			}
		}
		if !gone || !there || !target {
			t.Errorf("old name withdrawn %v, new one announced %v, services follow %v", gone, there, target)
		}
	})
}

// A rival that says goodbye is noticed within seconds.
func TestRivalLeaves(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		stop := p.defend(host, "192.168.7.99")
		m := l.run("server22", Config{})
		settle()
		stop()
		p.send(flushed(response("server22.local. 0 IN A 192.168.7.99")))
		time.Sleep(4 * time.Second)
		if h := m.State().Host(); !h.Held || h.Name != host {
			t.Errorf("state %+v", h)
		}
	})
}

// §9: a conflict with a name that is held sends it back to probing; a rival
// that does not answer the probes does not get it.
func TestConflictAfterwards(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{})
		settle()
		p.clear()
		p.send(flushed(response("server22.local. 120 IN A 192.168.7.99")))
		time.Sleep(100 * time.Millisecond)
		if h := m.State().Host(); h.Held {
			t.Error("still held after a conflict")
		}
		settle()
		if n := len(p.probes()); n != 3 {
			t.Errorf("%d probes, want 3", n)
		}
		if n := len(p.responses()); n != 2 {
			t.Errorf("%d announcements, want 2", n)
		}
		if h := m.State().Host(); !h.Held || h.Name != host || h.Conflicts != 1 {
			t.Errorf("state %+v", h)
		}
	})
}

// A name that is held is lost to a rival that defends it, and the goodbye for
// it does not take its records from caches.
func TestConflictLost(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{})
		settle()
		p.clear()
		stop := p.defend(host, "192.168.7.99")
		defer stop()
		p.send(flushed(response("server22.local. 120 IN A 192.168.7.99")))
		settle()
		if h := m.State().Host(); !h.Held || h.Name != "server22-2.local." {
			t.Errorf("state %+v", h)
		}
	})
}

// Services are renamed as a person would (RFC 6763 appendix D).
func TestRenameService(t *testing.T) {
	inLab(t, func(l *lab) {
		l.run("a", Config{Name: "a", Services: []Service{web()}})
		settle()
		b := l.run("b", Config{
			Name: "b", Services: []Service{web()},
			Interfaces: []Interface{eth(2, "eth0", "192.168.7.3/24")},
		})
		settle()
		n := b.State().Names[1]
		if !n.Held || n.Name != "My Web (2)._http._tcp.local." || n.Label() != "My Web (2)" {
			t.Errorf("state %+v", n)
		}
		if h := b.State().Host(); h.Conflicts != 0 || !h.Held {
			t.Errorf("the host's name: %+v", h)
		}
	})
}

// An alias that another host has is left to it, and taken when it is free.
func TestAliasConflict(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		stop := p.defend("chat.local.", "192.168.7.99")
		m := l.run("server22", Config{Aliases: []Alias{{Name: "chat"}, {Name: "bus"}}})
		settle()
		names := m.State().Names
		if names[1].Held || names[1].Name != "" || names[1].Rival == nil || !names[2].Held {
			t.Errorf("aliases %+v", names[1:])
		}
		stop()
		time.Sleep(DefaultRetry + time.Minute)
		if n := m.State().Names[1]; !n.Held || n.Name != "chat.local." {
			t.Errorf("alias %+v", n)
		}
	})
}

// §8.1: after fifteen conflicts in ten seconds, five seconds between attempts.
func TestEndlessRival(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		l.run("server22", Config{})
		var attempts []time.Time
		asked := make(map[string]bool)
		stop := p.listen(func(s *sighting) {
			if s.msg.Response || len(s.msg.Ns) == 0 {
				return
			}
			name := s.msg.Question[0].Name
			if !asked[name] {
				asked[name] = true
				attempts = append(attempts, s.at)
			}
			p.send(flushed(response(name + " 120 IN A 192.168.7.99")))
		})
		time.Sleep(2 * time.Minute)
		stop()
		if len(attempts) < 20 || len(attempts) > 45 {
			t.Errorf("%d attempts in two minutes", len(attempts))
		}
		if took := attempts[14].Sub(attempts[0]); took > 5*time.Second {
			t.Errorf("the first 15 attempts took %v", took)
		}
		for i := 15; i < len(attempts); i++ {
			if gap := attempts[i].Sub(attempts[i-1]); gap < 5*time.Second {
				t.Errorf("attempt %d came %v after the one before", i+1, gap)
			}
		}
	})
}

// What is no conflict: our own records, on whatever interface, and those of
// another responder on this host.
func TestNoConflict(t *testing.T) {
	tests := []struct {
		name, from string
		msg        *dns.Msg
	}{
		{"identical data", "192.168.7.99", flushed(response("server22.local. 120 IN A 192.168.7.2"))},
		{"another case", "192.168.7.99", flushed(response("SERVER22.local. 120 IN A 192.168.7.2"))},
		{"our other interface", "192.168.7.99", flushed(response("server22.local. 120 IN A 10.0.0.2"))},
		{"another responder on this host", "192.168.7.2", flushed(response("server22.local. 120 IN A 172.17.0.1"))},
		{"another type", "192.168.7.99", response(`server22.local. 120 IN TXT "x"`)},
		{"another class", "192.168.7.99", response("server22.local. 120 CH A 192.168.7.99")},
		{"a goodbye", "192.168.7.99", flushed(response("server22.local. 0 IN A 192.168.7.99"))},
		{"a denial", "192.168.7.99", flushed(response("server22.local. 120 IN NSEC server22.local. A"))},
		{"a shared name", "192.168.7.99", response("_http._tcp.local. 4500 IN PTR Other._http._tcp.local.")},
		{"SRV in another spelling", "192.168.7.99", flushed(response(`my\032web._http._tcp.local. 120 IN SRV 0 0 80 SERVER22.local.`))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				m := l.run("server22", Config{
					Services:   []Service{web()},
					Interfaces: []Interface{eth0(), eth(3, "eth1", "10.0.0.2/24")},
				})
				settle()
				l.tap("lan", tt.from).send(tt.msg)
				time.Sleep(100 * time.Millisecond)
				for _, n := range m.State().Names {
					if !n.Held || n.Conflicts != 0 {
						t.Errorf("state %+v", n)
					}
				}
			})
		})
	}
}

// What is one.
func TestConflicts(t *testing.T) {
	tests := []string{
		"server22.local. 120 IN A 192.168.7.99",
		"server22.local. 120 IN AAAA fe80::99",
		"server22.local. 120 IN CNAME other.local.",
		`my\032web._http._tcp.local. 120 IN SRV 0 0 81 server22.local.`,
		`my\032web._http._tcp.local. 120 IN TXT "other"`,
	}
	for _, record := range tests {
		t.Run(record, func(t *testing.T) {
			inLab(t, func(l *lab) {
				m := l.run("server22", Config{Services: []Service{web()}})
				p := l.lanTap()
				settle()
				p.send(flushed(response(record)))
				time.Sleep(100 * time.Millisecond)
				conflicts := 0
				for _, n := range m.State().Names {
					conflicts += n.Conflicts
				}
				if conflicts != 1 {
					t.Errorf("%d conflicts", conflicts)
				}
			})
		})
	}
}

// §14, §15: two interfaces in one network are one host.
func TestTwoInterfacesOneLAN(t *testing.T) {
	inLab(t, func(l *lab) {
		m := l.run("server22", Config{
			Services: []Service{web()},
			Interfaces: []Interface{
				eth(2, "eth0", "192.168.7.2/24", "fe80::2/64"),
				eth(3, "wlan0", "192.168.7.3/24", "fe80::3/64"),
			},
		})
		settle()
		m.SetInterfaces([]Interface{
			eth(2, "eth0", "192.168.7.22/24", "fe80::2/64"),
			eth(3, "wlan0", "192.168.7.3/24", "fe80::3/64"),
		})
		settle()
		m.Resume()
		settle()
		for _, n := range m.State().Names {
			if !n.Held || n.Conflicts != 0 {
				t.Errorf("state %+v", n)
			}
		}
	})
}

// An interface that comes up in the same network is no newcomer to defend
// against.
func TestSecondInterfaceComesUp(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		wlan := eth(3, "wlan0", "192.168.7.3/24")
		l.plug("server22", wlan)
		m.SetInterfaces([]Interface{eth0(), wlan})
		p.silence(740 * time.Millisecond)
		settle()
		for _, n := range m.State().Names {
			if !n.Held || n.Conflicts != 0 {
				t.Errorf("state %+v", n)
			}
		}
	})
}

// Caution ends ten seconds after the last conflict.
func TestCautionEnds(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{})
		stop := p.listen(func(s *sighting) {
			if !s.msg.Response {
				p.send(flushed(response(s.msg.Question[0].Name + " 120 IN A 192.168.7.99")))
			}
		})
		time.Sleep(time.Minute)
		stop()
		time.Sleep(time.Minute)
		h := m.State().Host()
		if !h.Held {
			t.Fatalf("state %+v", h)
		}
		p.send(flushed(response(h.Name + " 120 IN A 192.168.7.99")))
		time.Sleep(1100 * time.Millisecond)
		if h := m.State().Host(); !h.Held {
			t.Error("a single conflict is held against the name for seconds")
		}
	})
}

// §6, §11: responses that come from another port, or from beyond the link, or
// by unicast without having been asked for, are not believed.
func TestResponsesIgnored(t *testing.T) {
	tests := []struct {
		name     string
		from, to string
	}{
		{"another port", "192.168.7.99:5354", "224.0.0.251:5353"},
		{"unasked unicast", "192.168.7.99:5353", "192.168.7.2:5353"},
		{"off-link unicast", "10.9.9.9:5353", "192.168.7.2:5353"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				m := l.run("server22", Config{})
				p := l.lanTap()
				settle()
				b, _ := flushed(response("server22.local. 120 IN A 192.168.7.99")).Pack()
				p.sendRaw(netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort(tt.to), b)
				time.Sleep(100 * time.Millisecond)
				if h := m.State().Host(); h.Conflicts != 0 {
					t.Errorf("state %+v", h)
				}
			})
		})
	}
}

// §8.1: probes ask for unicast answers, so those count while probing.
func TestUnicastDefence(t *testing.T) {
	for from, want := range map[string]string{"192.168.7.99:5353": "server22-2", "10.9.9.9:5353": "server22"} {
		inLab(t, func(l *lab) {
			m := l.run("server22", Config{})
			p := l.lanTap()
			time.Sleep(300 * time.Millisecond)
			b, _ := flushed(response("server22.local. 120 IN A 192.168.7.99")).Pack()
			p.sendRaw(netip.MustParseAddrPort(from), netip.MustParseAddrPort("192.168.7.2:5353"), b)
			settle()
			if h := m.State().Host(); h.Label() != want {
				t.Errorf("from %s: %+v", from, h)
			}
		})
	}
}

func TestNumbered(t *testing.T) {
	long := "a-name-that-has-sixty-three-bytes-and-so-fills-a-label-complete"
	tests := []struct {
		kind   Kind
		wanted string
		n      int
		want   string
	}{
		{HostName, "server22", 1, "server22"},
		{HostName, "server22", 2, "server22-2"},
		{HostName, "pi-4", 2, "pi-4-2"},
		{HostName, long, 12, long[:60] + "-12"},
		{HostName, "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä", 2, "äöüäöüäöüäöüäöüäöüäöüäöüäöüäö-2"},
		{ServiceName, "My Web", 2, "My Web (2)"},
		{ServiceName, "a-2", 3, "a-2 (3)"},
	}
	for _, tt := range tests {
		got := tt.kind.Numbered(tt.wanted, tt.n)
		if len(got) > 63 {
			t.Errorf("%q has %d bytes", got, len(got))
		}
		if tt.want[:4] == got[:4] && len(tt.wanted) < 60 && got != tt.want {
			t.Errorf("numbered(%q, %d) = %q, want %q", tt.wanted, tt.n, got, tt.want)
		}
		if n, ok := tt.kind.Number(tt.wanted, got); !ok || n != tt.n {
			t.Errorf("number(%q, %q) = %d, %v", tt.wanted, got, n, ok)
		}
	}
	for _, other := range []string{"", "server22-", "server22-02", "server23-2", "server22 (2)", "server22-x", "server22-1"} {
		if n, ok := HostName.Number("server22", other); ok {
			t.Errorf("server22.Number(%q) = %d", other, n)
		}
	}
}

func ExampleFileStore() {
	store := NewFileStore("/nonexistent/names.json")
	won, err := store.Load("server22.local.")
	fmt.Printf("%q %v\n", won, err)
	// Output: "" <nil>
}
