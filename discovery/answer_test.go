package discovery

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// established runs a responder with a service and an alias, until it is quiet.
func (l *lab) established() (*machine, *tap) {
	p := l.lanTap()
	m := l.run("server22", Config{
		Services: []Service{web()},
		Aliases:  []Alias{{Name: "chat"}, {Name: "old.server22", CNAME: true}},
	})
	settle()
	p.clear()
	return m, p
}

// texts are the data of records, without their headers.
func texts(section []dns.RR, name string, typ uint16) []string {
	var out []string
	for _, r := range find(section, name, typ) {
		out = append(out, r.String()[len(r.Header().String()):])
	}
	return out
}

const (
	reverse4 = "2.7.168.192.in-addr.arpa."
	reverse6 = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa."
	denyHost = "server22.local. A AAAA"
)

// What each question is answered with: RFC 6762 §4, §6, §6.1, §6.2, §16;
// RFC 6763 §4, §7.1, §9, §12.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name string
		typ  uint16
		want []string // in the answer section
		more []string // in the additional section
		wait time.Duration
	}{
		{host, dns.TypeA, []string{"192.168.7.2"}, []string{"fe80::2"}, 0},
		{host, dns.TypeAAAA, []string{"fe80::2"}, []string{"192.168.7.2"}, 0},
		{host, dns.TypeANY, []string{"192.168.7.2", "fe80::2"}, nil, 0},
		{"SERVER22.Local.", dns.TypeA, []string{"192.168.7.2"}, []string{"fe80::2"}, 0},
		{host, dns.TypeHTTPS, []string{denyHost}, []string{"192.168.7.2", "fe80::2"}, 0},
		{host, dns.TypeSVCB, []string{denyHost}, nil, 0},
		{host, dns.TypeTXT, []string{denyHost}, nil, 0},
		{host, dns.TypeSOA, []string{denyHost}, nil, 0},
		{host, dns.TypeCAA, []string{denyHost}, nil, 0}, // above 255
		{host, dns.TypeNSEC, []string{denyHost}, nil, 0},
		{"chat.local.", dns.TypeA, []string{"192.168.7.2"}, []string{"fe80::2"}, 0},
		{"chat.local.", dns.TypeHTTPS, []string{"chat.local. A AAAA"}, nil, 0},
		{"old.server22.local.", dns.TypeA, []string{host, "192.168.7.2"}, []string{"fe80::2"}, 0},
		{"old.server22.local.", dns.TypeCNAME, []string{host}, []string{"192.168.7.2", "fe80::2"}, 0},
		{reverse4, dns.TypePTR, []string{host}, nil, 0},
		{reverse6, dns.TypePTR, []string{host}, nil, 0},
		{reverse4, dns.TypeA, []string{reverse4 + " PTR"}, nil, 0},
		{instance, dns.TypeSRV, []string{"0 0 80 " + host}, []string{"192.168.7.2", "fe80::2"}, 0},
		{`my\032web._HTTP._tcp.local.`, dns.TypeSRV, []string{"0 0 80 " + host}, nil, 0},
		{instance, dns.TypeTXT, []string{`"path=/"`}, nil, 0},
		{instance, dns.TypeANY, []string{"0 0 80 " + host, `"path=/"`}, nil, 0},
		{instance, dns.TypeA, []string{instance + " TXT SRV"}, nil, 0},
		{instance, dns.TypeHTTPS, []string{instance + " TXT SRV"}, nil, 0},
		{"_http._tcp.local.", dns.TypePTR, []string{instance}, []string{"0 0 80 " + host, `"path=/"`, "192.168.7.2", "fe80::2"}, 120 * time.Millisecond},
		{"_http._tcp.local.", dns.TypeANY, []string{instance}, nil, 120 * time.Millisecond},
		{"_printer._sub._http._tcp.local.", dns.TypePTR, []string{instance}, []string{"0 0 80 " + host}, 120 * time.Millisecond},
		{"_services._dns-sd._udp.local.", dns.TypePTR, []string{"_http._tcp.local."}, nil, 120 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+dns.TypeToString[tt.typ], func(t *testing.T) {
			inLab(t, func(l *lab) {
				_, p := l.established()
				asked := time.Now()
				p.send(query(tt.name, tt.typ))
				s := p.await(200 * time.Millisecond)
				checkHeader(t, s)
				if wait := s.at.Sub(asked); wait > tt.wait || tt.wait > 0 && wait < 20*time.Millisecond {
					t.Errorf("answered after %v", wait)
				}
				checkTexts(t, "answers", s.msg.Answer, tt.want)
				for _, more := range tt.more {
					if !slices.Contains(texts(s.msg.Extra, "", dns.StringToType[typeOf(more)]), more) {
						t.Errorf("%s is missing in the additional records:\n%v", more, s.msg)
					}
				}
				p.clear()
				p.silence(5 * time.Second) // once is enough
			})
		})
	}
}

// typeOf guesses the type of a record from its data.
func typeOf(text string) string {
	switch {
	case text[0] == '"':
		return "TXT"
	case text[0] == '0':
		return "SRV"
	case slices.Contains([]byte(text), ':'):
		return "AAAA"
	}
	return "A"
}

func checkTexts(t *testing.T, what string, section []dns.RR, want []string) {
	t.Helper()
	var got []string
	for _, r := range section {
		got = append(got, r.String()[len(r.Header().String()):])
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s %q, want %q", what, got, want)
	}
}

// What is not answered at all.
func TestUnanswered(t *testing.T) {
	chaos := query(host, dns.TypeA)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	status := query(host, dns.TypeA)
	status.Opcode = dns.OpcodeStatus
	failed := query(host, dns.TypeA)
	failed.Rcode = dns.RcodeServerFailure
	tests := map[string]*dns.Msg{
		"another host":            query("server23.local.", dns.TypeA),
		"a longer name":           query("x.server22.local.", dns.TypeA),
		"the domain":              query("local.", dns.TypeANY),
		"another domain":          query("server22.example.", dns.TypeA),
		"the bare name":           query("server22.", dns.TypeA),
		"another address":         query("3.7.168.192.in-addr.arpa.", dns.TypePTR),
		"another type of service": query("_ipp._tcp.local.", dns.TypePTR),
		"another subtype":         query("_x._sub._http._tcp.local.", dns.TypePTR),
		"an instance without dot": query(`MyWeb._http._tcp.local.`, dns.TypeSRV),
		"a type without PTR":      query("_http._tcp.local.", dns.TypeSRV),
		"another class":           chaos,
		"opcode (§18.3)":          status,
		"rcode (§18.11)":          failed,
	}
	for name, q := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				_, p := l.established()
				p.send(q)
				p.silence(3 * time.Second)
			})
		})
	}
}

// Hosts with one family say at once that they have not the other (§6.1, §6.2).
func TestOneFamily(t *testing.T) {
	tests := []struct {
		prefix    string
		has, lack uint16
		deny      string
	}{
		{"192.168.7.2/24", dns.TypeA, dns.TypeAAAA, "server22.local. A"},
		{"fe80::2/64", dns.TypeAAAA, dns.TypeA, "server22.local. AAAA"},
	}
	for _, tt := range tests {
		inLab(t, func(l *lab) {
			p := l.tap("lan", map[uint16]string{dns.TypeA: "192.168.7.99", dns.TypeAAAA: "fe80::99"}[tt.has])
			l.run("server22", Config{Interfaces: []Interface{eth(2, "eth0", tt.prefix)}})
			settle()
			p.clear()
			p.send(query(host, tt.lack))
			s := p.await(10 * time.Millisecond)
			checkTexts(t, "answers", s.msg.Answer, []string{tt.deny})
			if len(find(s.msg.Extra, host, tt.has)) != 1 {
				t.Errorf("the address that there is is not told:\n%v", s.msg)
			}
			if h := s.msg.Answer[0].Header(); h.Ttl != 120 || h.Class != dns.ClassINET|1<<15 {
				t.Errorf("denial %v", h)
			}
			settle()
			p.clear()
			p.send(query(host, tt.has))
			s = p.await(10 * time.Millisecond)
			if len(find(s.msg.Extra, host, dns.TypeNSEC)) != 1 {
				t.Errorf("the address comes without the denial of the other:\n%v", s.msg)
			}
		})
	}
}

// §6.2, §14: each interface tells its own addresses, and no other's.
func TestAddressesOfTheInterface(t *testing.T) {
	inLab(t, func(l *lab) {
		l.cables["server22/eth1"] = "lan1"
		p0, p1 := l.lanTap(), l.tap("lan1", "10.0.0.99")
		l.run("server22", Config{
			Services: []Service{web()},
			Interfaces: []Interface{
				eth0(), eth(3, "eth1", "10.0.0.2/24", "2001:db8::2/64"),
				eth(4, "docker0", "172.17.0.1/16"), eth(5, "veth12", "172.18.0.1/16"), eth(6, "br-0123", "172.19.0.1/16"),
			},
		})
		settle()
		p0.send(query(host, dns.TypeANY))
		p1.send(query(host, dns.TypeANY))
		settle()
		allowed := map[*tap][]string{
			p0: {"192.168.7.2", "fe80::2"},
			p1: {"10.0.0.2", "2001:db8::2"},
		}
		for p, want := range allowed {
			seen := make(map[string]bool)
			for _, s := range p.all() {
				for _, section := range [][]dns.RR{s.msg.Answer, s.msg.Ns, s.msg.Extra} {
					for _, text := range append(texts(section, "", dns.TypeA), texts(section, "", dns.TypeAAAA)...) {
						seen[text] = true
						if !slices.Contains(want, text) {
							t.Errorf("%s told on %s", text, p.lan)
						}
					}
				}
			}
			if len(seen) != len(want) {
				t.Errorf("told on %s: %v", p.lan, seen)
			}
		}
	})
}

// §6: answers that others may have too come after 20 to 120 ms, spread evenly.
func TestSharedDelayIsEven(t *testing.T) {
	const n = 2000
	var delays []float64
	inLab(t, func(l *lab) {
		_, p := l.established()
		for range n {
			asked := time.Now()
			p.send(query("_http._tcp.local.", dns.TypePTR))
			delays = append(delays, p.await(time.Second).at.Sub(asked).Seconds()*1000)
			time.Sleep(2 * time.Second)
			p.clear()
		}
	})
	slices.Sort(delays)
	if delays[0] < 20 || delays[n-1] > 120 {
		t.Errorf("delays from %.1f to %.1f ms", delays[0], delays[n-1])
	}
	// Kolmogorov and Smirnov, at a level that fails once in a million.
	worst := 0.0
	for i, d := range delays {
		worst = max(worst, math.Abs((d-20)/100-float64(i)/n))
	}
	if limit := 2.7 / math.Sqrt(n); worst > limit {
		t.Errorf("the delays are not evenly spread: %.3f > %.3f", worst, limit)
	}
}

// §6.4: answers to several hosts that wait for their random delays go out
// together, none of them before its time.
func TestAggregation(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p := l.established()
		const rounds = 200
		together := 0
		for range rounds {
			p.clear()
			first := time.Now()
			p.send(query("_http._tcp.local.", dns.TypePTR))
			time.Sleep(5 * time.Millisecond)
			second := time.Now()
			p.send(query("_services._dns-sd._udp.local.", dns.TypePTR))
			time.Sleep(200 * time.Millisecond)
			list := p.responses()
			if len(list) == 1 {
				together++
			}
			for _, s := range list {
				for name, asked := range map[string]time.Time{"_http._tcp.local.": first, "_services._dns-sd._udp.local.": second} {
					delay := s.at.Sub(asked)
					if len(find(s.msg.Answer, name, dns.TypePTR)) > 0 && (delay < 20*time.Millisecond || delay > 120*time.Millisecond) {
						t.Errorf("%s answered after %v", name, delay)
					}
				}
			}
			time.Sleep(2 * time.Second)
		}
		// The first may have to leave before the second has waited 20 ms.
		if together < rounds*85/100 {
			t.Errorf("%d of %d rounds took one packet", together, rounds)
		}
	})
}

// §6.3: whoever asks several questions waits, since others may answer too.
func TestSeveralQuestions(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p := l.established()
		asked := time.Now()
		q := query(host, dns.TypeA)
		q.Question = append(q.Question, query(instance, dns.TypeSRV).Question[0], query("_x._tcp.local.", dns.TypePTR).Question[0])
		p.send(q)
		s := p.await(time.Second)
		if wait := s.at.Sub(asked); wait < 20*time.Millisecond || wait > 120*time.Millisecond {
			t.Errorf("answered after %v", wait)
		}
		checkTexts(t, "answers", s.msg.Answer, []string{"192.168.7.2", "0 0 80 " + host})
		p.clear()
		p.silence(time.Second)
	})
}

// §7.1: what the querier knows, for at least half of its life, is not told,
// whatever the case of the names in it.
func TestKnownAnswers(t *testing.T) {
	tests := []struct {
		name  string
		typ   uint16
		known []string
		quiet bool
	}{
		{"_http._tcp.local.", dns.TypePTR, []string{"_http._tcp.local. 2250 IN PTR " + instance}, true},
		{"_http._tcp.local.", dns.TypePTR, []string{"_http._tcp.local. 2249 IN PTR " + instance}, false},
		{"_http._tcp.local.", dns.TypePTR, []string{`_HTTP._tcp.LOCAL. 4500 IN PTR my\032WEB._http._tcp.local.`}, true},
		{"_http._tcp.local.", dns.TypePTR, []string{"_http._tcp.local. 4500 IN PTR Other._http._tcp.local."}, false},
		{"_http._tcp.local.", dns.TypePTR, []string{"_http._tcp.local. 4500 IN PTR Other._http._tcp.local.", "_http._tcp.local. 4500 IN PTR " + instance}, true},
		{host, dns.TypeA, []string{"server22.local. 60 IN A 192.168.7.2"}, true},
		{host, dns.TypeA, []string{"server22.local. 59 IN A 192.168.7.2"}, false},
		{host, dns.TypeA, []string{"server22.local. 120 IN A 192.168.7.3"}, false},
		{host, dns.TypeAAAA, []string{"server22.local. 120 IN AAAA fe80::2"}, true},
		{host, dns.TypeANY, []string{"server22.local. 120 IN AAAA fe80::2", "server22.local. 120 IN A 192.168.7.2"}, true},
		{host, dns.TypeHTTPS, []string{"server22.local. 120 IN NSEC server22.local. A AAAA"}, true},
		{instance, dns.TypeSRV, []string{instance + " 120 IN SRV 0 0 80 Server22.local."}, true},
		{instance, dns.TypeTXT, []string{instance + ` 4500 IN TXT "path=/"`}, true},
		{instance, dns.TypeTXT, []string{instance + ` 4500 IN TXT "PATH=/"`}, false},
		{"_services._dns-sd._udp.local.", dns.TypePTR, []string{"_services._dns-sd._udp.local. 4500 IN PTR _http._tcp.local."}, true},
		{reverse4, dns.TypePTR, []string{reverse4 + " 120 IN PTR server22.local."}, true},
		{host, dns.TypeA, []string{"server22.local. 120 CH A 192.168.7.2"}, false},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(i, tt.known), func(t *testing.T) {
			inLab(t, func(l *lab) {
				_, p := l.established()
				q := query(tt.name, tt.typ)
				for _, k := range tt.known {
					q.Answer = append(q.Answer, rr(k))
				}
				p.send(q)
				if tt.quiet {
					p.silence(3 * time.Second)
				} else {
					p.await(200 * time.Millisecond)
				}
			})
		})
	}
}

// §10.2: whoever knows half of a unique set is told all of it, or would forget
// what it knew.
func TestHalfKnown(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		l.run("server22", Config{Interfaces: []Interface{eth(2, "eth0", "192.168.7.2/24", "192.168.7.3/24")}})
		settle()
		p.clear()
		q := query(host, dns.TypeA)
		q.Answer = []dns.RR{rr("server22.local. 120 IN A 192.168.7.2")}
		p.send(q)
		checkTexts(t, "answers", p.await(time.Second).msg.Answer, []string{"192.168.7.2", "192.168.7.3"})
	})
}

// §7.2: after a query with the TC bit, 400 to 500 ms are left for more known
// answers, counted from the last packet that announces more.
func TestKnownAnswersInSeveralPackets(t *testing.T) {
	known := new(dns.Msg)
	known.Answer = []dns.RR{rr("_http._tcp.local. 4500 IN PTR " + instance)}
	other := new(dns.Msg)
	other.Answer = []dns.RR{rr("_http._tcp.local. 4500 IN PTR Other._http._tcp.local.")}
	other.Truncated = true
	truncated := query("_http._tcp.local.", dns.TypePTR)
	truncated.Truncated = true
	truncated.Answer = other.Answer

	inLab(t, func(l *lab) {
		_, p := l.established()
		p.send(truncated)
		time.Sleep(300 * time.Millisecond)
		p.send(known)
		p.silence(3 * time.Second)
	})
	inLab(t, func(l *lab) { // none follows
		_, p := l.established()
		asked := time.Now()
		p.send(truncated)
		if wait := p.await(time.Second).at.Sub(asked); wait < 400*time.Millisecond || wait > 500*time.Millisecond {
			t.Errorf("answered after %v", wait)
		}
	})
	inLab(t, func(l *lab) { // unique records wait too
		_, p := l.established()
		q := query(host, dns.TypeA)
		q.Truncated = true
		asked := time.Now()
		p.send(q)
		if wait := p.await(time.Second).at.Sub(asked); wait < 400*time.Millisecond || wait > 500*time.Millisecond {
			t.Errorf("answered after %v", wait)
		}
	})
	inLab(t, func(l *lab) { // more than two packets
		_, p := l.established()
		p.send(truncated)
		for range 4 {
			time.Sleep(350 * time.Millisecond)
			p.send(other)
		}
		time.Sleep(350 * time.Millisecond)
		p.send(known)
		p.silence(3 * time.Second)
	})
	inLab(t, func(l *lab) { // another host's known answers are no concern of this one
		_, p := l.established()
		p2 := l.tap("lan", "192.168.7.98")
		p.send(truncated)
		time.Sleep(100 * time.Millisecond)
		p2.send(known)
		p.await(time.Second)
	})
	inLab(t, func(l *lab) { // who asks without TC is answered meanwhile
		_, p := l.established()
		p2 := l.tap("lan", "192.168.7.98")
		p.send(truncated)
		p2.send(query("_http._tcp.local.", dns.TypePTR))
		p.await(121 * time.Millisecond)
	})
}

// §7.4: what another responder has just told needs not be told again.
func TestDuplicateAnswer(t *testing.T) {
	tests := []struct {
		record string
		quiet  bool
	}{
		{"_http._tcp.local. 4500 IN PTR " + instance, true},
		{"_http._tcp.local. 4499 IN PTR " + instance, false},
		{"_http._tcp.local. 4500 IN PTR Other._http._tcp.local.", false},
	}
	for _, tt := range tests {
		inLab(t, func(l *lab) {
			_, p := l.established()
			p.send(query("_http._tcp.local.", dns.TypePTR))
			time.Sleep(15 * time.Millisecond)
			p.send(response(tt.record))
			if tt.quiet {
				p.silence(3 * time.Second)
			} else {
				p.await(200 * time.Millisecond)
			}
		})
	}
}

// §6.6, §10.1: a copy of our record that caches would forget too soon, or at
// once, is corrected within a second.
func TestRescue(t *testing.T) {
	tests := []struct {
		record string
		flush  bool
		rescue bool
	}{
		{"server22.local. 0 IN A 192.168.7.2", true, true},
		{"server22.local. 59 IN A 192.168.7.2", true, true},
		{"server22.local. 60 IN A 192.168.7.2", true, false},
		{"_http._tcp.local. 0 IN PTR " + instance, false, true},
		{"_http._tcp.local. 2249 IN PTR " + instance, false, true},
		{"_http._tcp.local. 2250 IN PTR " + instance, false, false},
		{instance + " 0 IN SRV 0 0 80 server22.local.", true, true},
		{"_services._dns-sd._udp.local. 0 IN PTR _http._tcp.local.", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.record, func(t *testing.T) {
			inLab(t, func(l *lab) {
				m, p := l.established()
				msg := response(tt.record)
				if tt.flush {
					flushed(msg)
				}
				p.send(msg)
				if !tt.rescue {
					p.silence(3 * time.Second)
					return
				}
				s := p.await(time.Second)
				h := msg.Answer[0].Header()
				if r := find(s.msg.Answer, h.Name, h.Rrtype); len(r) != 1 || r[0].Header().Ttl < 120 {
					t.Errorf("rescued with %v", s.msg)
				}
				for _, n := range m.State().Names {
					if n.Conflicts != 0 {
						t.Errorf("a conflict: %+v", n)
					}
				}
			})
		})
	}
}

// §6: however often it is asked, a record is multicast once a second, and the
// last one who asks is answered too.
func TestRateLimit(t *testing.T) {
	for _, q := range []*dns.Msg{query(host, dns.TypeA), query("_http._tcp.local.", dns.TypePTR), query(instance, dns.TypeANY), query(host, dns.TypeHTTPS)} {
		inLab(t, func(l *lab) {
			_, p := l.established()
			for range 800 {
				p.send(q)
				time.Sleep(1250 * time.Microsecond)
			}
			last := time.Now()
			time.Sleep(3 * time.Second)
			checkRate(t, p.responses(), time.Second)
			rs := p.responses()
			if len(rs) < 2 || len(rs) > 3 {
				t.Errorf("%d multicasts for 800 queries of %v in a second", len(rs), q.Question[0])
			}
			if !rs[len(rs)-1].at.After(last.Add(-2 * time.Millisecond)) {
				t.Errorf("the last query of %v was not answered", q.Question[0])
			}
		})
	}
}

// checkRate makes sure that no record is multicast twice within the limit, in
// whatever section.
func checkRate(t *testing.T, rs []*sighting, limit time.Duration) {
	t.Helper()
	last := make(map[string]time.Time)
	for _, s := range rs {
		if !s.to.Addr().IsMulticast() {
			continue
		}
		for _, r := range append(slices.Clone(s.msg.Answer), s.msg.Extra...) {
			key := r.String()
			if before, ok := last[key]; ok && s.at.Sub(before) < limit {
				t.Errorf("%v came again after %v", r, s.at.Sub(before))
			}
			last[key] = s.at
		}
	}
}

// §8.2, §6: whoever probes for our name is told at once, once in 250 ms, and
// also by unicast if it asks for that.
func TestDefence(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p := l.established()
		p.send(rivalProbe("server22.local. 120 IN A 192.168.7.99"))
		time.Sleep(time.Millisecond)
		if n := len(p.responses()); n != 1 {
			t.Fatalf("%d answers to a probe within a millisecond", n)
		}
		time.Sleep(249 * time.Millisecond)
		p.send(rivalProbe("server22.local. 120 IN A 192.168.7.99"))
		time.Sleep(time.Millisecond)
		if n := len(p.responses()); n != 2 {
			t.Errorf("%d answers to two probes 250 ms apart", n)
		}
		for range 100 {
			p.send(rivalProbe("server22.local. 120 IN A 192.168.7.99"))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		checkRateOf(t, p.responses(), host, dns.TypeA, 250*time.Millisecond)
	})
	inLab(t, func(l *lab) {
		_, p := l.established()
		probe := rivalProbe("server22.local. 120 IN A 192.168.7.99")
		probe.Question[0].Qclass |= 1 << 15
		p.send(probe)
		s := p.await(time.Millisecond)
		if s.to != netip.MustParseAddrPort("192.168.7.99:5353") {
			t.Errorf("a probe that asks for unicast is answered to %v", s.to)
		}
	})
}

func checkRateOf(t *testing.T, rs []*sighting, name string, typ uint16, limit time.Duration) {
	t.Helper()
	var last time.Time
	for _, s := range rs {
		if len(find(s.msg.Answer, name, typ)) == 0 {
			continue
		}
		if !last.IsZero() && s.at.Sub(last) < limit {
			t.Errorf("%s came again after %v", name, s.at.Sub(last))
		}
		last = s.at
	}
}

// §6.7: resolvers of unicast DNS are answered in their own manner.
func TestLegacy(t *testing.T) {
	tests := []struct {
		q    *dns.Msg
		want []string
	}{
		{query("Server22.local.", dns.TypeA), []string{"192.168.7.2"}},
		{query("_http._tcp.local.", dns.TypePTR), []string{instance}},
		{query(instance, dns.TypeSRV), []string{"0 0 80 " + host}},
		{query("old.server22.local.", dns.TypeA), []string{host, "192.168.7.2"}},
		{query(host, dns.TypeHTTPS), []string{denyHost}},
	}
	for _, to := range []string{"224.0.0.251:5353", "192.168.7.2:5353"} {
		for _, tt := range tests {
			inLab(t, func(l *lab) {
				_, p := l.established()
				tt.q.Id = 4711
				tt.q.RecursionDesired = true
				asked := time.Now()
				p.sendTo(netip.MustParseAddrPort(to), 40000, tt.q)
				s := p.await(10 * time.Millisecond)
				if s.at != asked || s.to != netip.MustParseAddrPort("192.168.7.99:40000") || s.from.Port() != 5353 {
					t.Errorf("answered from %v to %v after %v", s.from, s.to, s.at.Sub(asked))
				}
				m := s.msg
				if m.Id != 4711 || !m.Authoritative || len(m.Question) != 1 || m.Question[0] != tt.q.Question[0] {
					t.Errorf("answer %v", m)
				}
				checkTexts(t, "answers", m.Answer, tt.want)
				for _, r := range append(m.Answer, m.Extra...) {
					if h := r.Header(); h.Ttl > 10 || h.Class != dns.ClassINET {
						t.Errorf("a legacy answer with %v", h)
					}
				}
				p.clear()
				p.silence(3 * time.Second)
			})
		}
	}
}

// §18.14: names in SRV records are compressed, but not for legacy resolvers.
func TestCompression(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p := l.established()
		p.send(query(instance, dns.TypeSRV))
		multicast := p.await(time.Second)
		p.clear()
		p.sendTo(ipv4.group(), 40000, query(instance, dns.TypeSRV))
		legacy := p.await(time.Second)
		if n := countName(multicast.raw, "server22"); n != 1 {
			t.Errorf("server22 is spelled %d times in a multicast answer", n)
		}
		if n := countName(legacy.raw, "server22"); n < 2 {
			t.Errorf("server22 is spelled %d times in a legacy answer", n)
		}
	})
}

func countName(raw []byte, label string) int {
	n := 0
	for i := range raw {
		if slices.Equal(raw[i:min(i+len(label), len(raw))], []byte(label)) {
			n++
		}
	}
	return n
}

// A legacy answer has 512 bytes, or what the resolver says that it takes; what
// does not fit sets the TC bit.
func TestLegacySize(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		cfg := Config{}
		for i := range 30 {
			cfg.Services = append(cfg.Services, Service{Instance: fmt.Sprint("An instance with number ", i), Type: "_http._tcp", Port: 80})
		}
		l.run("server22", cfg)
		settle()
		p.clear()
		p.sendTo(ipv4.group(), 40000, query("_http._tcp.local.", dns.TypePTR))
		if s := p.await(time.Second); s.size > 512 || !s.msg.Truncated {
			t.Errorf("%d bytes, TC %v", s.size, s.msg.Truncated)
		}
		p.clear()
		q := query("_http._tcp.local.", dns.TypePTR)
		q.SetEdns0(4096, false)
		p.sendTo(ipv4.group(), 40000, q)
		if s := p.await(time.Second); s.size > 1472 || s.msg.Truncated || len(s.msg.Answer) != 30 {
			t.Errorf("%d bytes, TC %v, %d answers", s.size, s.msg.Truncated, len(s.msg.Answer))
		}
	})
}

// §5.4: QU questions are answered by unicast, unless caches have not heard of
// the record for a quarter of its life.
func TestQU(t *testing.T) {
	tests := []struct {
		name    string
		typ     uint16
		age     time.Duration // since the second announcement
		unicast bool
	}{
		{host, dns.TypeA, 29 * time.Second, true},
		{host, dns.TypeA, 31 * time.Second, false},
		{instance, dns.TypeTXT, 31 * time.Second, true},
		{instance, dns.TypeTXT, 1126 * time.Second, false},
		{"_http._tcp.local.", dns.TypePTR, 1100 * time.Second, true},
		{"_http._tcp.local.", dns.TypePTR, 1126 * time.Second, false},
	}
	for _, tt := range tests {
		inLab(t, func(l *lab) {
			p := l.lanTap()
			l.run("server22", Config{Services: []Service{web()}})
			settle()
			rs := p.responses()
			time.Sleep(time.Until(rs[len(rs)-1].at.Add(tt.age)))
			p.clear()
			q := query(tt.name, tt.typ)
			q.Question[0].Qclass |= 1 << 15
			if tt.unicast {
				q.Id = 77 // §18.1
			}
			p.send(q)
			s := p.await(200 * time.Millisecond)
			if s.msg.Id != q.Id {
				t.Errorf("id %d, want %d", s.msg.Id, q.Id)
			}
			s.msg.Id = 0
			want := "224.0.0.251:5353"
			if tt.unicast {
				want = "192.168.7.99:5353"
			}
			if s.to.String() != want {
				t.Errorf("%s after %v is answered to %v, want %s", tt.name, tt.age, s.to, want)
			}
			checkHeader(t, s)
			if c := s.msg.Answer[0].Header().Class; tt.typ != dns.TypePTR && c != dns.ClassINET|1<<15 {
				t.Errorf("a unique record without the cache-flush bit: %v", s.msg.Answer[0])
			}
		})
	}
}

// §5.5, §11: a query sent straight to us is answered straight, if it comes from
// the link.
func TestDirect(t *testing.T) {
	for from, answered := range map[string]bool{
		"192.168.7.99:5353": true, "192.168.7.99:40000": true,
		"10.9.9.9:5353": false, "10.9.9.9:40000": false,
	} {
		inLab(t, func(l *lab) {
			_, p := l.established()
			b, _ := query(host, dns.TypeA).Pack()
			p.sendRaw(netip.MustParseAddrPort(from), netip.MustParseAddrPort("192.168.7.2:5353"), b)
			if !answered {
				p.silence(3 * time.Second)
				return
			}
			if s := p.await(10 * time.Millisecond); s.to.String() != from || s.from.String() != "192.168.7.2:5353" {
				t.Errorf("answered from %v to %v", s.from, s.to)
			}
		})
	}
}

// A direct query, and a probe, are answered straight in any case; if caches
// have not heard for long, everybody hears too.
func TestDirectWhenStale(t *testing.T) {
	probe := rivalProbe("server22.local. 120 IN A 192.168.7.99")
	probe.Question[0].Qclass |= 1 << 15
	for to, q := range map[string]*dns.Msg{"192.168.7.2:5353": query(host, dns.TypeA), "224.0.0.251:5353": probe} {
		inLab(t, func(l *lab) {
			_, p := l.established()
			time.Sleep(time.Hour)
			p.sendTo(netip.MustParseAddrPort(to), 5353, q)
			time.Sleep(10 * time.Millisecond)
			seen := make(map[netip.AddrPort]bool)
			for _, s := range p.responses() {
				seen[s.to] = true
			}
			if !seen[ipv4.group()] || !seen[netip.MustParseAddrPort("192.168.7.99:5353")] || len(seen) != 2 {
				t.Errorf("sent to %s, answered to %v", to, seen)
			}
		})
	}
}

// §6: additional records count too.
func TestRateLimitOfAdditionals(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p := l.established()
		for range 20 {
			for _, q := range []*dns.Msg{query("_http._tcp.local.", dns.TypePTR), query(instance, dns.TypeSRV), query("chat.local.", dns.TypeA), query(host, dns.TypeHTTPS)} {
				p.send(q)
				time.Sleep(170 * time.Millisecond)
			}
		}
		checkRate(t, p.responses(), time.Second)
	})
}

// A unicast answer of somebody else does not keep ours from those who asked.
func TestUnicastCopyDoesNotSuppress(t *testing.T) {
	inLab(t, func(l *lab) {
		m, p := l.established()
		if err := m.Announce(Service{Instance: "New", Type: "_ipp._tcp", Port: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(400 * time.Millisecond) // probing, so that unicast is listened to
		p.send(query("_http._tcp.local.", dns.TypePTR))
		time.Sleep(10 * time.Millisecond)
		p.sendTo(netip.MustParseAddrPort("192.168.7.2:5353"), 5353, response("_http._tcp.local. 4500 IN PTR "+instance))
		p.await(200 * time.Millisecond)
	})
}

// §11: what is sent to the group comes from the link, whatever its address
// says; but an answer does not leave the link.
func TestOffLinkMulticast(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p := l.established()
		b, _ := query(host, dns.TypeA).Pack()
		p.sendRaw(netip.MustParseAddrPort("10.9.9.9:5353"), ipv4.group(), b)
		if s := p.await(10 * time.Millisecond); s.to != ipv4.group() {
			t.Errorf("answered to %v", s.to)
		}
		settle()
		p.clear()
		p.sendRaw(netip.MustParseAddrPort("10.9.9.9:40000"), ipv4.group(), b)
		p.silence(3 * time.Second)
	})
}

// §17: packets are split at the size of an Ethernet frame; a record that is
// longer gets a packet of its own.
func TestSplit(t *testing.T) {
	for _, addr := range []string{"192.168.7.99", "fe80::99"} {
		inLab(t, func(l *lab) {
			p := l.tap("lan", addr)
			cfg := Config{}
			for i := range 60 {
				cfg.Services = append(cfg.Services, Service{
					Instance: fmt.Sprint("An instance with number ", i), Type: "_http._tcp", Port: 80,
					TXT: []string{"note=a text of some length to fill the packets"},
				})
			}
			l.run("server22", cfg)
			settle()
			p.send(query("_http._tcp.local.", dns.TypePTR))
			settle()
			limit := 1472
			if !p.addr.Is4() {
				limit = 1452
			}
			probed, answered := make(map[string]int), make(map[string]bool)
			for _, s := range p.all() {
				if s.size > limit || s.msg.Truncated {
					t.Errorf("a packet of %d bytes, TC %v", s.size, s.msg.Truncated)
				}
				for _, q := range s.msg.Question {
					probed[q.Name]++
					if len(find(s.msg.Ns, q.Name, dns.TypeSRV))+len(find(s.msg.Ns, q.Name, dns.TypeA))+len(find(s.msg.Ns, q.Name, dns.TypeAAAA)) == 0 {
						t.Errorf("%s is probed for without its records", q.Name)
					}
				}
				for _, text := range texts(s.msg.Answer, "_http._tcp.local.", dns.TypePTR) {
					answered[text] = true
				}
			}
			if len(probed) != 61 || len(answered) != 60 {
				t.Errorf("%d names probed for, %d instances told", len(probed), len(answered))
			}
			for name, n := range probed {
				if n != 3 {
					t.Errorf("%s is probed for %d times", name, n)
				}
			}
		})
	}
}

// IPv6 is a link of its own, answered on its own (§20).
func TestIPv6(t *testing.T) {
	inLab(t, func(l *lab) {
		_, p4 := l.established()
		p := l.tap("lan", "fe80::99")
		p.send(query(host, dns.TypeA))
		if s := p.await(10 * time.Millisecond); s.to != ipv6.group() || s.from.Addr() != netip.MustParseAddr("fe80::2") {
			t.Errorf("answered from %v to %v", s.from, s.to)
		}
		p4.silence(time.Second)
		p.clear()
		p.sendTo(ipv6.group(), 40000, query(host, dns.TypeAAAA))
		if s := p.await(10 * time.Millisecond); s.to.String() != "[fe80::99]:40000" {
			t.Errorf("a legacy query is answered to %v", s.to)
		}
	})
}

// §10.2: additional records come as whole sets too, or caches would forget the
// rest; addresses that are good everywhere come first.
func TestAdditionalSets(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		cfg := Config{Services: []Service{web()}, Interfaces: []Interface{
			eth(2, "eth0", "fe80::2/64", "fd00::2/64", "2001:db8::2/64", "169.254.3.4/16", "192.168.7.2/24"),
		}}
		l.run("server22", cfg)
		settle()
		for _, q := range []*dns.Msg{query(host, dns.TypeA), query("_http._tcp.local.", dns.TypePTR), query(host, dns.TypeHTTPS)} {
			for _, from := range []uint16{5353, 40000} {
				p.clear()
				p.sendTo(ipv4.group(), from, q)
				s := p.await(time.Second)
				if got := texts(s.msg.Extra, host, dns.TypeAAAA); !slices.Equal(got, []string{"2001:db8::2", "fd00::2", "fe80::2"}) {
					t.Errorf("%v: additional AAAA %v", q.Question[0], got)
				}
				settle()
			}
		}
		p.clear()
		p.send(query(host, dns.TypeA))
		if got := texts(p.await(time.Second).msg.Answer, host, dns.TypeA); !slices.Equal(got, []string{"192.168.7.2", "169.254.3.4"}) {
			t.Errorf("addresses %v", got)
		}
	})
	inLab(t, func(l *lab) { // so many addresses that a set does not fit
		p := l.lanTap()
		var prefixes []string
		for i := range 40 {
			prefixes = append(prefixes, fmt.Sprintf("2001:db8::%x/64", i+1), fmt.Sprintf("192.168.7.%d/24", i+1))
		}
		l.run("server22", Config{Interfaces: []Interface{eth(2, "eth0", prefixes...)}})
		settle()
		p.clear()
		p.send(query(host, dns.TypeA))
		s := p.await(time.Second)
		if n := len(find(s.msg.Extra, host, dns.TypeAAAA)); s.size > 1472 || n != 0 && n != 40 {
			t.Errorf("%d of 40 AAAA in %d bytes", n, s.size)
		}
	})
}
