package discovery

import (
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// ttls returns the TTLs with which a record was told, in order.
func ttls(rs []*sighting, record string) []uint32 {
	want := rr(record)
	var out []uint32
	for _, s := range rs {
		for _, r := range find(s.msg.Answer, want.Header().Name, want.Header().Rrtype) {
			if r.String()[len(r.Header().String()):] == want.String()[len(want.Header().String()):] {
				out = append(out, r.Header().Ttl)
			}
		}
	}
	return out
}

func checkTTLs(t *testing.T, rs []*sighting, record string, want ...uint32) {
	t.Helper()
	got := ttls(rs, record)
	if len(got) != len(want) {
		t.Errorf("%s was told with TTLs %v, want %v", record, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s was told with TTLs %v, want %v", record, got, want)
			return
		}
	}
}

// RFC 6762 §8.4, §10.1, §10.2: an address that appears is announced with its
// whole set, one that vanishes is withdrawn, and so are their names.
func TestAddressChanges(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		changed := time.Now()
		m.SetInterfaces([]Interface{eth(2, "eth0", "192.168.7.2/24", "192.168.7.20/24", "fe80::2/64")})
		settle()
		rs := p.responses()
		if len(rs) == 0 || rs[0].at.Sub(changed) > time.Second {
			t.Fatal("a new address is not announced within a second")
		}
		checkTTLs(t, rs, "server22.local. IN A 192.168.7.20", 120, 120)
		checkTTLs(t, rs, "server22.local. IN A 192.168.7.2", 120, 120)
		checkTTLs(t, rs, "chat.local. IN A 192.168.7.20", 120, 120)
		checkTTLs(t, rs, "20.7.168.192.in-addr.arpa. IN PTR server22.local.", 120, 120)
		if len(p.probes()) != 0 {
			t.Error("a name that is held is probed for again")
		}

		p.clear()
		changed = time.Now()
		m.SetInterfaces([]Interface{eth(2, "eth0", "192.168.7.20/24", "fe80::2/64")})
		settle()
		rs = p.responses()
		if len(rs) == 0 || rs[0].at.Sub(changed) > time.Second {
			t.Fatal("a lost address is not withdrawn within a second")
		}
		checkTTLs(t, rs, "server22.local. IN A 192.168.7.2", 0)
		checkTTLs(t, rs, "server22.local. IN A 192.168.7.20", 120, 120)
		checkTTLs(t, rs, reverse4+" IN PTR server22.local.", 0)
		for _, s := range rs[1:] {
			for _, r := range find(s.msg.Answer, host, dns.TypeA) {
				if r.Header().Class != dns.ClassINET|1<<15 {
					t.Errorf("%v has no cache-flush bit", r)
				}
			}
		}
		p.clear()
		p.send(query(host, dns.TypeA))
		checkTexts(t, "answers", p.await(time.Second).msg.Answer, []string{"192.168.7.20"})
	})
}

// Right after an announcement, a new address is told at once, and alone: its
// set may not be repeated yet, and is safe in caches for a second (§6, §10.2).
func TestAddressRightAfterAnnouncement(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{})
		for !m.State().Host().Held {
			time.Sleep(10 * time.Millisecond)
		}
		p.clear()
		m.SetInterfaces([]Interface{eth(2, "eth0", "192.168.7.2/24", "192.168.7.20/24", "fe80::2/64")})
		checkTexts(t, "announced", find(p.await(time.Millisecond).msg.Answer, host, dns.TypeA), []string{"192.168.7.20"})
		settle()
		checkTTLs(t, p.responses(), "server22.local. IN A 192.168.7.2", 120)
		checkTTLs(t, p.responses(), "server22.local. IN A 192.168.7.20", 120, 120)
		checkRate(t, p.responses(), time.Second)
	})
}

// The last address of a family takes its link with it, and is withdrawn over
// the other.
func TestFamilyVanishes(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p4 := l.established()
		p := l.tap("lan", "fe80::99")
		m.SetInterfaces([]Interface{eth(2, "eth0", "fe80::2/64")})
		settle()
		checkTTLs(t, p.responses(), "server22.local. IN A 192.168.7.2", 0)
		p.clear()
		p4.clear()
		p4.send(query(host, dns.TypeA))
		p4.silence(time.Second)
		p.send(query(host, dns.TypeA))
		checkTexts(t, "answers", p.await(time.Second).msg.Answer, []string{"server22.local. AAAA"})
		if n := len(m.State().Links); n != 1 {
			t.Errorf("%d links", n)
		}
	})
}

// §8.3: a cable that comes back means probing and announcing, as the network
// may be another one; and nothing is sent while it is out.
func TestCable(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		out := eth0()
		out.Flags &^= net.FlagRunning
		m.SetInterfaces([]Interface{out})
		time.Sleep(time.Minute)
		if n := len(p.all()); n != 0 {
			t.Errorf("%d packets without a cable", n)
		}
		if h := m.State().Host(); h.Held {
			t.Error("held without a cable")
		}
		m.SetInterfaces([]Interface{eth0()})
		settle()
		if n := len(p.probes()); n != 3 {
			t.Errorf("%d probes, want 3", n)
		}
		if n := len(p.responses()); n != 2 {
			t.Errorf("%d announcements, want 2", n)
		}
	})
}

// A new interface is probed on, the others go on undisturbed.
func TestNewInterface(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p0 := l.established()
		l.cables["server22/wlan0"] = "lan1"
		p1 := l.tap("lan1", "10.0.0.99")
		m.SetInterfaces([]Interface{eth0(), eth(3, "wlan0", "10.0.0.2/24")})
		settle()
		if len(p0.all()) != 0 || len(p1.probes()) != 3 || len(p1.responses()) != 2 {
			t.Errorf("%d packets on the old interface; %d probes, %d announcements on the new",
				len(p0.all()), len(p1.probes()), len(p1.responses()))
		}
		// It is taken away by configuration, not by a cable: goodbye.
		p1.clear()
		m.SetInterfaces([]Interface{eth0()})
		settle()
		p0.send(query(host, dns.TypeA))
		p0.await(time.Second)
	})
}

// A conflict on one interface changes the name on all of them, with a goodbye
// where it was in use.
func TestConflictOnOneInterface(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p0 := l.established()
		l.cables["server22/wlan0"] = "lan1"
		p1 := l.tap("lan1", "10.0.0.99")
		stop := p1.defend(host, "10.0.0.99")
		defer stop()
		m.SetInterfaces([]Interface{eth0(), eth(3, "wlan0", "10.0.0.2/24")})
		settle()
		if h := m.State().Host(); !h.Held || h.Label() != "server22-2" || h.Rival.Interface != "wlan0" {
			t.Errorf("state %+v", h)
		}
		got := ttls(p0.responses(), "server22.local. IN A 192.168.7.2")
		if len(got) != 1 || got[0] != 0 {
			t.Errorf("the old name is told with TTLs %v, want one goodbye", got)
		}
		checkTTLs(t, p0.responses(), "server22-2.local. IN A 192.168.7.2", 120, 120)
	})
}

// Sleep: everything is probed for and announced again.
func TestResume(t *testing.T) {
	for name, wake := range map[string]func(*lab, *machine){
		"told": func(_ *lab, m *machine) { m.Resume() },
		"seen": func(l *lab, _ *machine) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.asleep["server22"] <- struct{}{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				m, p := l.established()
				wake(l, m)
				settle()
				if len(p.probes()) != 3 || len(p.responses()) != 2 {
					t.Errorf("%d probes, %d announcements", len(p.probes()), len(p.responses()))
				}
			})
		})
	}
}

// §10.1: goodbyes for all that was told, on every link, and nothing after them.
func TestGoodbye(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		p6 := l.tap("lan", "fe80::99")
		p.send(query("_http._tcp.local.", dns.TypePTR)) // an answer that waits
		synctest.Wait()
		m.stop()
		for _, p := range []*tap{p, p6} {
			rs := p.all()
			if len(rs) == 0 {
				t.Fatal("no goodbye")
			}
			for _, record := range []string{
				"server22.local. IN A 192.168.7.2", "server22.local. IN AAAA fe80::2", "chat.local. IN A 192.168.7.2",
				"old.server22.local. IN CNAME server22.local.",
				instance + " IN SRV 0 0 80 server22.local.", instance + ` IN TXT "path=/"`,
				"_http._tcp.local. IN PTR " + instance, "_printer._sub._http._tcp.local. IN PTR " + instance,
				reverse4 + " IN PTR server22.local.",
			} {
				checkTTLs(t, rs, record, 0)
			}
			// Others may offer the same type.
			checkTTLs(t, rs, "_services._dns-sd._udp.local. IN PTR _http._tcp.local.")
			p.clear()
			time.Sleep(time.Minute)
			if n := len(p.all()); n != 0 {
				t.Errorf("%d packets after the goodbye", n)
			}
		}
	})
}

// What was never told is not withdrawn.
func TestGoodbyeUnheard(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{})
		time.Sleep(400 * time.Millisecond)
		m.stop()
		if n := len(p.responses()); n != 0 {
			t.Errorf("%d goodbyes while probing", n)
		}
	})
}

// Services come, change and go.
func TestServiceChanges(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		if err := m.Announce(Service{Instance: "Chat", Type: "_socketio._tcp", Port: 8080}); err != nil {
			t.Fatal(err)
		}
		settle()
		if probes := p.probes(); len(probes) != 3 || len(probes[0].msg.Question) != 1 {
			t.Errorf("probes %v", probes)
		}
		checkTTLs(t, p.responses(), "_socketio._tcp.local. IN PTR Chat._socketio._tcp.local.", 4500, 4500)
		checkTTLs(t, p.responses(), `Chat._socketio._tcp.local. IN TXT ""`, 4500, 4500)
		checkTTLs(t, p.responses(), "server22.local. IN A 192.168.7.2")

		p.clear()
		if err := m.Announce(Service{Instance: "Chat", Type: "_socketio._tcp", Port: 8080, TXT: []string{"v=2"}}); err != nil {
			t.Fatal(err)
		}
		settle()
		checkTTLs(t, p.responses(), `Chat._socketio._tcp.local. IN TXT "v=2"`, 4500, 4500)
		checkTTLs(t, p.responses(), `Chat._socketio._tcp.local. IN TXT ""`) // the cache-flush bit does it
		if len(p.probes()) != 0 || len(ttls(p.responses(), "_socketio._tcp.local. IN PTR Chat._socketio._tcp.local.")) != 0 {
			t.Error("a changed text is more than a new announcement of it")
		}

		p.clear()
		m.Withdraw("Chat", "_socketio._tcp")
		settle()
		checkTTLs(t, p.responses(), "_socketio._tcp.local. IN PTR Chat._socketio._tcp.local.", 0)
		checkTTLs(t, p.responses(), `Chat._socketio._tcp.local. IN TXT "v=2"`, 0)
		p.clear()
		p.send(query("_socketio._tcp.local.", dns.TypePTR))
		p.silence(time.Second)
	})
}

// A new name takes the place of the old one, and services follow.
func TestRenameByHand(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		if err := m.Rename("kitchen"); err != nil {
			t.Fatal(err)
		}
		settle()
		rs := p.responses()
		checkTTLs(t, rs, "server22.local. IN A 192.168.7.2", 0)
		checkTTLs(t, rs, "kitchen.local. IN A 192.168.7.2", 120, 120)
		checkTTLs(t, rs, instance+" IN SRV 0 0 80 kitchen.local.", 120, 120)
		if h := m.State().Host(); h.Name != "kitchen.local." || h.Wanted != "kitchen.local." || !h.Held {
			t.Errorf("state %+v", h)
		}
		if err := m.Rename("a.b"); !errors.Is(err, ErrInvalid) {
			t.Errorf("renamed to a.b: %v", err)
		}
	})
}

// A port that somebody does not share is told, and tried again.
func TestPortTaken(t *testing.T) {
	inLab(t, func(l *lab) {
		l.refuse = errors.New("address already in use")
		m := l.run("server22", Config{})
		time.Sleep(time.Minute)
		for _, link := range m.State().Links {
			if link.Problem != "address already in use" {
				t.Errorf("problem %q", link.Problem)
			}
		}
		l.mu.Lock()
		l.refuse = nil
		l.mu.Unlock()
		time.Sleep(maxReopen + 2*time.Second)
		s := m.State()
		if !s.Host().Held || s.Links[0].Problem != "" {
			t.Errorf("state %+v", s)
		}
	})
}

// Idle, the responder does nothing at all.
func TestIdle(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p := l.established()
		time.Sleep(24 * time.Hour)
		if n := len(p.all()); n != 0 {
			t.Errorf("%d packets in a day without questions", n)
		}
	})
}

// A link on which nothing can be sent is told, until something can.
func TestMuted(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		mute := func(err error) {
			l.mu.Lock()
			l.mute = err
			l.mu.Unlock()
			p.send(query(host, dns.TypeA))
			time.Sleep(2 * time.Second)
		}
		mute(errors.New("network is unreachable"))
		if link := m.State().Links[0]; link.Problem != "sending failed: network is unreachable" {
			t.Errorf("link %+v", link)
		}
		mute(nil)
		if link := m.State().Links[0]; link.Problem != "" {
			t.Errorf("link %+v", link)
		}
	})
}

// Without unicast sockets, nothing is asked for by unicast. Another responder
// may start and end at any time.
func TestMulticastOnly(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		m := l.run("server22", Config{MulticastOnly: true})
		settle()
		for _, probe := range p.probes() {
			if probe.msg.Question[0].Qclass != dns.ClassINET {
				t.Error("a probe asks for unicast answers that another responder would get")
			}
		}
		const reverse = "2.7.168.192.in-addr.arpa."
		check := func(unicast int, named bool) {
			t.Helper()
			time.Sleep(3 * time.Second)
			if n := l.unicastSockets(); n != unicast {
				t.Errorf("%d sockets are bound to addresses, not %d", n, unicast)
			}
			p.clear()
			p.send(query(reverse, dns.TypePTR))
			time.Sleep(time.Second)
			if got := len(p.responses()) > 0; got != named {
				t.Errorf("the address has a name: %v", got)
			}
		}
		check(0, false)
		m.SetMulticastOnly(false)
		check(2, true)
		p.clear()
		m.SetMulticastOnly(true)
		time.Sleep(100 * time.Millisecond)
		if ttl := ttls(p.responses(), reverse+" IN PTR "+host); !slices.Contains(ttl, 0) {
			t.Errorf("the name of the address is not withdrawn: %v", ttl)
		}
		check(0, false)
		if h := m.State().Host(); !h.Held || h.Conflicts != 0 {
			t.Errorf("state %+v", h)
		}
	})
}

func (f *fabric) unicastSockets() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.sockets {
		if !s.group {
			n++
		}
	}
	return n
}
