package discovery

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// sink is a socket that nothing comes from, and that counts what is sent.
type sink struct{ sent int }

func (s *sink) receive([]byte) (int, netip.AddrPort, error) { select {} }
func (s *sink) send([]byte, netip.AddrPort) error           { s.sent++; return nil }
func (s *sink) Close() error                                { return nil }

// benchEngine is an engine whose names are held, without goroutines.
func benchEngine(b testing.TB, services int) (*engine, *link, *sink, time.Time) {
	cfg := Config{Name: "server22", Interfaces: []Interface{eth0()}}
	for i := range services {
		cfg.Services = append(cfg.Services, Service{Instance: "My Web " + string(rune('a'+i)), Type: "_http._tcp", Port: 80, TXT: []string{"path=/"}})
	}
	r, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	e := newEngine(r)
	now := time.Unix(1e9, 0)
	e.reconcile(now)
	s := new(sink)
	for _, l := range e.links {
		l.group, l.retry = s, time.Time{}
	}
	for range 10 {
		now = now.Add(time.Second)
		e.step(now)
	}
	for _, l := range e.links {
		for _, c := range l.claims {
			if c.phase != Held {
				b.Fatalf("%v is not held", c.name)
			}
		}
	}
	return e, e.links[0], s, now
}

func benchPacket(b testing.TB, l *link, s socket, from string, m *dns.Msg) *packet {
	data, err := m.Pack()
	if err != nil {
		b.Fatal(err)
	}
	return &packet{link: l, socket: s, from: netip.MustParseAddrPort(from), data: data}
}

// BenchmarkQuery is the cost of one packet from its arrival to what is sent.
func BenchmarkQuery(b *testing.B) {
	qu := query(host, dns.TypeA)
	qu.Question[0].Qclass |= 1 << 15
	known := query("_http._tcp.local.", dns.TypePTR)
	known.Answer = append(known.Answer, rr(`_http._tcp.local. 4500 IN PTR My\032Web\032a._http._tcp.local.`))
	tests := []struct {
		name     string
		services int
		from     string
		every    time.Duration
		msg      *dns.Msg
		answered bool
	}{
		{"A", 2, "192.168.7.99:5353", 2 * time.Second, query(host, dns.TypeA), true},
		{"PTR", 2, "192.168.7.99:5353", 2 * time.Second, query("_http._tcp.local.", dns.TypePTR), true},
		{"QU", 2, "192.168.7.99:5353", time.Microsecond, qu, true},
		{"legacy", 2, "192.168.7.99:40000", time.Microsecond, query(host, dns.TypeA), true},
		{"known", 1, "192.168.7.99:5353", 2 * time.Second, known, false},
		{"foreign", 2, "192.168.7.99:5353", time.Microsecond, query("_ipp._tcp.local.", dns.TypePTR), false},
		{"flood", 2, "192.168.7.99:5353", time.Microsecond, query("_http._tcp.local.", dns.TypePTR), false},
		{"response", 2, "192.168.7.99:5353", time.Microsecond, response("printer.local. 120 IN A 192.168.7.99", "_ipp._tcp.local. 4500 IN PTR P._ipp._tcp.local."), false},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			e, l, s, now := benchEngine(b, tt.services)
			p := benchPacket(b, l, s, tt.from, tt.msg)
			before := s.sent
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				now = now.Add(tt.every)
				e.receive(now, p)
				e.step(now)
				if tt.answered {
					e.step(now.Add(200 * time.Millisecond))
				}
				n++
			}
			if tt.answered && s.sent-before < n {
				b.Errorf("%d answers to %d queries", s.sent-before, n)
			}
		})
	}
}

// Packets that ask nothing of us cost no memory.
func TestForeignPacketsDoNotAllocate(t *testing.T) {
	e, l, s, now := benchEngine(t, 2)
	for _, m := range []*dns.Msg{
		query("_ipp._tcp.local.", dns.TypePTR),
		response("printer.local. 120 IN A 192.168.7.99"),
		query("PRINTER.local.", dns.TypeA),
	} {
		p := benchPacket(t, l, s, "192.168.7.99:5353", m)
		if n := testing.AllocsPerRun(100, func() { e.receive(now, p); e.step(now) }); n != 0 {
			t.Errorf("%v allocations for %v", n, m)
		}
	}
}
