package discovery

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// hostilePackets are the kinds that have broken others.
func hostilePackets() map[string][]byte {
	header := func(flags, qd, an, ns, ar uint16) []byte {
		b := make([]byte, 12)
		for i, v := range []uint16{0, flags, qd, an, ns, ar} {
			binary.BigEndian.PutUint16(b[2*i:], v)
		}
		return b
	}
	ask := func(flags uint16, name ...byte) []byte {
		return append(append(header(flags, 1, 0, 0, 0), name...), 0, 1, 0, 1)
	}
	jumbo := make([]byte, maxPacket)
	copy(jumbo, ask(0, 1, 'x', 0))
	full := header(0, 1700, 0, 0, 0)
	for len(full)+5 < maxPacket {
		full = append(full, 0, 0, 255, 0, 255)
	}
	return map[string][]byte{
		"empty":                    {},
		"one byte":                 {0},
		"half a header":            make([]byte, 6),
		"a header":                 header(0, 0, 0, 0, 0),
		"counts that lie":          header(0, 0xffff, 0xffff, 0xffff, 0xffff),
		"a pointer to itself":      ask(0, 0xc0, 12),
		"a pointer ahead":          ask(0, 0xc0, 200),
		"pointers in a ring":       append(ask(0, 0xc0, 18), 0xc0, 12),
		"a pointer to the header":  ask(0, 0xc0, 0),
		"a label that is too long": ask(0, 0x40, 'x'),
		"a name without end":       ask(0, 63, 'x'),
		"an extended label":        ask(0, 0x80, 0),
		"a response of that kind":  ask(1<<15, 0xc0, 12),
		"jumbo":                    jumbo,
		"nothing but questions":    full,
		"a record without data":    append(header(1<<15, 0, 1, 0, 0), 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4),
		"our address with three bytes": append(header(1<<15, 0, 1, 0, 0),
			"\x08server22\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x03abc"...),
		"our service with three bytes": append(header(1<<15, 0, 1, 0, 0),
			"\x06My Web\x05_http\x04_tcp\x05local\x00\x00\x21\x80\x01\x00\x00\x00\x78\x00\x03abc"...),
		"an SRV of two bytes": append(header(1<<15, 0, 1, 0, 0), 0, 0, 33, 0, 1, 0, 0, 0, 120, 0, 2, 0, 0),
		"names of pointers only": append(append(header(0, 1, 0, 0, 0), 1, 'a', 0xc0, 12), // "a.a.a…"
			0, 1, 0, 1),
	}
}

// Malformed packets are ignored, and the host is found afterwards.
func TestMalformed(t *testing.T) {
	for name, b := range hostilePackets() {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				p := l.lanTap()
				m := l.run("server22", Config{Services: []Service{web()}})
				settle()
				p.clear()
				for _, from := range []string{"192.168.7.99:5353", "192.168.7.99:40000"} {
					for _, to := range []string{"224.0.0.251:5353", "192.168.7.2:5353"} {
						l.deliverRaw(p.lan, from, to, b)
					}
				}
				p.silence(time.Second)
				p.send(query(host, dns.TypeA))
				p.await(time.Second)
				if h := m.State().Host(); h.Conflicts != 0 {
					t.Errorf("state %+v", h)
				}
			})
		})
	}
}

// deliverRaw sends bytes that taps need not be able to read.
func (f *fabric) deliverRaw(lan, from, to string, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.toSockets(lan, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), b)
}

// What strangers can make the responder keep has an end.
func TestNothingGrows(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		qu := query("_http._tcp.local.", dns.TypePTR)
		qu.Question[0].Qclass |= 1 << 15
		truncated := query("_http._tcp.local.", dns.TypePTR)
		truncated.Truncated = true
		goodbye := response("server23.local. 0 IN A 192.168.7.99")
		var before, after runtime.MemStats
		flood := func(n int) {
			for i := range n {
				addr := netip.AddrFrom4([4]byte{192, 168, 7, byte(i)})
				for _, q := range []*dns.Msg{qu, truncated, goodbye} {
					b, _ := q.Pack()
					l.deliver("lan", netip.AddrPortFrom(addr, uint16(5353)), ipv4.group(), b)
				}
				if i%100 == 99 {
					time.Sleep(time.Millisecond)
					p.clear()
				}
			}
			settle()
			p.clear()
		}
		flood(5000)
		runtime.GC()
		runtime.ReadMemStats(&before)
		flood(20000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if after.HeapAlloc > before.HeapAlloc+256<<10 {
			t.Errorf("the heap grew from %d to %d KB", before.HeapAlloc>>10, after.HeapAlloc>>10)
		}
		if h := m.State().Host(); !h.Held {
			t.Errorf("state %+v", h)
		}
	})
}

// What waits has limits.
func TestWaitingIsBounded(t *testing.T) {
	e, l, s, now := benchEngine(t, 2)
	qu := query("_http._tcp.local.", dns.TypePTR)
	qu.Question[0].Qclass |= 1 << 15
	truncated := query("_http._tcp.local.", dns.TypePTR)
	truncated.Truncated = true
	for i := range 250 {
		for _, m := range []*dns.Msg{qu, truncated} {
			p := benchPacket(t, l, s, fmt.Sprintf("192.168.7.%d:5353", i), m)
			e.receive(now, p)
		}
	}
	if len(l.replies) != maxReplies || len(l.deferred) != maxDeferred {
		t.Errorf("%d replies and %d deferrals wait", len(l.replies), len(l.deferred))
	}
}

// Of a flood, so much is looked at, whatever the size of its packets.
func TestBudget(t *testing.T) {
	for _, size := range []int{40, 1472, maxPacket} {
		start := time.Unix(1e9, 0)
		b := budget{left: maxBurst, at: start}
		taken := 0
		for i := range 100_000 { // over ten seconds, four times as much as allowed
			now := start.Add(time.Duration(i) * 100 * time.Microsecond)
			for range max(1, 4*maxRate/10_000/size) {
				if b.spend(now, size) {
					taken += size
				}
			}
		}
		if most := maxBurst + 10*maxRate; taken > most || taken < most*9/10 {
			t.Errorf("packets of %d bytes: %d bytes taken, at most %d", size, taken, most)
		}
	}
	b := budget{at: time.Unix(1e9, 0)}
	if !b.spend(time.Unix(1e9+1, 0), maxRate) || b.spend(time.Unix(1e9+1, 0), 1) {
		t.Error("a second gives what it should")
	}
}

// A rival that claims every name for ever changes nothing for those who know
// the address: the packets stay few.
func TestRivalForEver(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		l.run("server22", Config{})
		stop := p.listen(func(s *sighting) {
			for _, q := range s.msg.Question {
				p.send(flushed(response(q.Name + " 120 IN A 192.168.7.99")))
			}
			for _, r := range find(s.msg.Answer, "", dns.TypeA) {
				p.send(flushed(response(r.Header().Name + " 120 IN A 192.168.7.99")))
			}
		})
		time.Sleep(time.Hour)
		stop()
		if n := len(p.all()); n > 3600 {
			t.Errorf("%d packets in an hour", n)
		}
	})
}

// Whatever arrives, the responder goes on.
func FuzzPackets(f *testing.F) {
	for _, b := range hostilePackets() {
		f.Add(b, false)
		f.Add(b, true)
	}
	for _, m := range []*dns.Msg{
		query(host, dns.TypeA), query("_http._tcp.local.", dns.TypePTR),
		rivalProbe("server22.local. 120 IN A 192.168.7.99"),
		response("server22.local. 120 IN A 192.168.7.99"),
		response(instance + " 0 IN SRV 0 0 80 server22.local."),
	} {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, legacy bool) {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			defer l.stop()
			m := l.run("server22", Config{Services: []Service{web()}, Aliases: []Alias{{Name: "old", CNAME: true}}})
			p := l.lanTap()
			from := "192.168.7.99:5353"
			if legacy {
				from = "192.168.7.99:40000"
			}
			for _, when := range []time.Duration{400 * time.Millisecond, 5 * time.Second} {
				time.Sleep(when) // while probing, and when established
				l.deliverRaw("lan", from, "224.0.0.251:5353", b)
				l.deliverRaw("lan", from, "192.168.7.2:5353", b)
			}
			time.Sleep(time.Minute)
			h := m.State().Host()
			if !h.Held {
				t.Fatalf("state %+v", h)
			}
			p.clear()
			p.send(query(h.Name, dns.TypeA))
			p.await(time.Second)
		})
	})
}

// Random damage to real packets.
func TestDamagedPackets(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		seed, err := rivalProbe("server22.local. 120 IN A 192.168.7.99", instance+" 120 IN SRV 0 0 80 x.local.").Pack()
		if err != nil {
			t.Fatal(err)
		}
		for range 20000 {
			b := append([]byte(nil), seed...)
			for range 1 + rand.N(4) {
				b[rand.N(len(b))] = byte(rand.N(256))
			}
			l.deliverRaw("lan", "192.168.7.99:5353", "224.0.0.251:5353", b[:rand.N(len(b)+1)])
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		p.clear()
		p.send(query(m.State().Host().Name, dns.TypeA))
		p.await(time.Second)
	})
}

func TestValidation(t *testing.T) {
	long := fmt.Sprintf("%064d", 0)
	bad := []Config{
		{Name: ""}, {Name: "a.b"}, {Name: long}, {Name: "a\x00b"}, {Name: "\xff"},
		{Name: "x", Aliases: []Alias{{Name: ""}}},
		{Name: "x", Aliases: []Alias{{Name: "a..b"}}},
		{Name: "x", Aliases: []Alias{{Name: "a"}, {Name: "A"}}},
		{Name: "x", Services: []Service{{Type: ""}}},
		{Name: "x", Services: []Service{{Type: "_http"}}},
		{Name: "x", Services: []Service{{Type: "http._tcp"}}},
		{Name: "x", Services: []Service{{Type: "_http._sctp"}}},
		{Name: "x", Services: []Service{{Type: "_a-name-of-16-chr._tcp"}}},
		{Name: "x", Services: []Service{{Type: "_-http._tcp"}}},
		{Name: "x", Services: []Service{{Type: "_12._tcp"}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", Instance: long}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", Subtypes: []string{long}}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", TXT: []string{"=x"}}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", TXT: []string{""}}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", TXT: []string{"ä=x"}}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", TXT: []string{"a=1", "A=2"}}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", TXT: []string{"a=" + fmt.Sprintf("%0254d", 0)}}}},
		{Name: "x", Services: []Service{{Type: "_http._tcp", TXT: []string{
			"a=" + fmt.Sprintf("%0250d", 0), "b=" + fmt.Sprintf("%0250d", 0), "c=" + fmt.Sprintf("%0250d", 0),
			"d=" + fmt.Sprintf("%0250d", 0), "e=" + fmt.Sprintf("%0250d", 0), "f=" + fmt.Sprintf("%0250d", 0)}}}},
	}
	for _, cfg := range bad {
		if _, err := New(cfg); err == nil {
			t.Errorf("accepted %+v", cfg)
		} else if err.Error() == "" {
			t.Errorf("no reason for %+v", cfg)
		}
	}
	good := Config{
		Name: "Büro-Pi", Aliases: []Alias{{Name: "chat"}, {Name: "a.b"}},
		Services: []Service{{Instance: "Ünïcode. With dots \\ and \"quotes\"", Type: "_http._tcp", Subtypes: []string{"_printer", "x y"}, TXT: []string{"a", "b=", "c=d=e", "\x20=\xff"}}},
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

// Any name that a person may think of is found, and read by others as it was
// written (RFC 6763 §4.1, §4.3).
func TestNames(t *testing.T) {
	for _, name := range []string{"Büro", "My Web.v2", `back\slash`, "ein sehr langer Name der genau dreiundsechzig Bytes lang ist  x", "日本語", "a(b)", "\"q\"", "x;y", "@"} {
		inLab(t, func(l *lab) {
			p := l.lanTap()
			m := l.run("server22", Config{Services: []Service{{Instance: name, Type: "_http._tcp", Port: 80}}})
			settle()
			p.clear()
			p.send(query("_http._tcp.local.", dns.TypePTR))
			s := p.await(time.Second)
			target := s.msg.Answer[0].(*dns.PTR).Ptr
			settle()
			p.clear()
			p.send(query(target, dns.TypeSRV))
			if len(find(p.await(time.Second).msg.Answer, target, dns.TypeSRV)) != 1 {
				t.Errorf("%q is not found as %s", name, target)
			}
			if got := m.State().Names[1].Label(); got != name {
				t.Errorf("the state calls %q %q", name, got)
			}
		})
	}
}
