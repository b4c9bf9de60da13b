package discovery

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"server22.local/appliance/discovery/internal/udp"
	"server22.local/appliance/internal/netnstest"
)

// These tests judge the responder by the frames on a cable, through the real
// kernel: addresses, ports, TTLs, groups, and what only real sockets can get
// wrong. The protocol's timers are tested elsewhere, in memory.

// busy is what a machine with other work may take for an answer at once.
const busy = 500 * time.Millisecond

func isIPv4(fr frame) bool { return fr.from.Addr().Is4() }

// The life of a name on the wire.
func TestJudgeLife(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{Services: []Service{web()}})
	m.waitHeld(t)
	time.Sleep(1500 * time.Millisecond)

	for _, fam := range []family{ipv4, ipv6} {
		mine := func(fr frame) bool { return fam.of(fr.from.Addr()) }
		probes := c.where(func(fr frame) bool { return mine(fr) && isProbe(fr) })
		announced := c.where(func(fr frame) bool { return mine(fr) && isResponse(fr) })
		if len(probes) != 3 || len(announced) != 2 {
			t.Errorf("%v: %d probes, %d announcements", fam, len(probes), len(announced))
		}
		for _, fr := range slices.Concat(probes, announced) {
			if fr.ttl != 255 || fr.from.Port() != port || fr.to != fam.group() || fr.msg.Id != 0 {
				t.Errorf("%v: from %v to %v, TTL %d, id %d", fam, fr.from, fr.to, fr.ttl, fr.msg.Id)
			}
		}
		for _, fr := range announced {
			checkAddresses(t, fr.msg, d.addr.String(), linkLocal(d.NS, "eth0").String())
		}
	}
	c.clear()
	m.stop()
	last := time.Now()
	time.Sleep(200 * time.Millisecond)
	for _, fam := range []family{ipv4, ipv6} {
		bye := c.where(func(fr frame) bool { return fam.of(fr.from.Addr()) })
		if len(bye) != 1 || bye[0].msg.Answer[0].Header().Ttl != 0 || bye[0].at.After(last.Add(100*time.Millisecond)) {
			t.Errorf("%v: goodbyes %v", fam, bye)
		}
	}
}

func checkAddresses(t *testing.T, m *dns.Msg, want ...string) {
	t.Helper()
	got := slices.Concat(texts(m.Answer, host, dns.TypeA), texts(m.Answer, host, dns.TypeAAAA))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
}

// Who is answered, from which port and address to which.
func TestJudgeUnicast(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	d.Addr("eth0", "10.53.0.3/24")
	m := d.run(Config{Services: []Service{web()}})
	// A browser of services on the same host, which is bound to the wildcard
	// and younger than the responder: it must not get what is ours.
	m.waitHeld(t)
	for _, fam := range []family{ipv4, ipv6} {
		var s *udp.Conn
		d.Do(func() {
			var err error
			all := map[family]netip.Addr{ipv4: netip.IPv4Unspecified(), ipv6: netip.IPv6Unspecified()}[fam]
			if s, err = udp.Listen(netip.AddrPortFrom(all, port), 0); err != nil {
				t.Error(err)
			}
		})
		defer s.Close()
	}
	time.Sleep(1200 * time.Millisecond) // the second announcement
	ll := linkLocal(d.NS, "eth0")
	j4, j6 := judgeIPv4.String(), "["+c.linkloc.String()+"]"
	tests := []struct {
		name, from, to string
		qu             bool
		answer         string // to; "" for none
		source         string
	}{
		{"legacy", j4 + ":40001", "224.0.0.251:5353", false, j4 + ":40001", ""},
		{"legacy over IPv6", j6 + ":40001", "[ff02::fb]:5353", false, j6 + ":40001", ""},
		{"legacy, direct", j4 + ":40002", "10.53.0.2:5353", false, j4 + ":40002", "10.53.0.2:5353"},
		{"legacy, direct, second address", j4 + ":40003", "10.53.0.3:5353", false, j4 + ":40003", "10.53.0.3:5353"},
		{"legacy, direct, IPv6", j6 + ":40002", "[" + ll.String() + "]:5353", false, j6 + ":40002", "[" + ll.String() + "]:5353"},
		{"legacy from beyond the link", "192.0.2.9:40001", "10.53.0.2:5353", false, "", ""},
		{"QU", j4 + ":5353", "224.0.0.251:5353", true, j4 + ":5353", ""},
		{"QU over IPv6", j6 + ":5353", "[ff02::fb]:5353", true, j6 + ":5353", ""},
		{"direct", j4 + ":5353", "10.53.0.2:5353", false, j4 + ":5353", "10.53.0.2:5353"},
		{"direct over IPv6", j6 + ":5353", "[" + ll.String() + "]:5353", false, j6 + ":5353", "[" + ll.String() + "]:5353"},
		{"direct from beyond the link", "192.0.2.9:5353", "10.53.0.2:5353", false, "", ""},
		{"direct from beyond the link, IPv6", "[2001:db8::9]:5353", "[" + ll.String() + "]:5353", false, "", ""},
		{"another group", j4 + ":5353", "224.0.0.250:5353", false, "", ""},
	}
	for _, tt := range tests {
		c.clear()
		q := query(host, dns.TypeA)
		q.Id = 99
		if tt.qu {
			q.Question[0].Qclass |= 1 << 15
		}
		to := netip.MustParseAddrPort(tt.to)
		mac := d.mac()
		if to.Addr().IsMulticast() {
			mac = nil
		}
		c.askFrom(netip.MustParseAddrPort(tt.from), to, mac, q)
		if tt.answer == "" {
			c.silence(150 * time.Millisecond)
			continue
		}
		fr := c.await(500*time.Millisecond, isResponse)
		if fr.to.String() != tt.answer || tt.source != "" && fr.from.String() != tt.source || fr.from.Port() != port || fr.ttl != 255 {
			t.Errorf("%s: from %v to %v, TTL %d", tt.name, fr.from, fr.to, fr.ttl)
		}
		if len(find(fr.msg.Answer, host, dns.TypeA)) != 2 {
			t.Errorf("%s: %v", tt.name, fr.msg)
		}
		if legacy := strings.HasPrefix(tt.name, "legacy"); fr.msg.Id != 99 || legacy != (len(fr.msg.Question) == 1) {
			t.Errorf("%s: id %d, questions %v", tt.name, fr.msg.Id, fr.msg.Question)
		}
	}
}

// How soon multicast questions are answered.
func TestJudgeLatency(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{Services: []Service{web()}, Aliases: []Alias{{Name: "chat"}}})
	m.waitHeld(t)
	time.Sleep(1100 * time.Millisecond)
	tests := []struct {
		name     string
		typ      uint16
		min, max time.Duration
	}{
		{host, dns.TypeA, 0, busy},
		{host, dns.TypeAAAA, 0, busy},
		{host, dns.TypeHTTPS, 0, busy},
		{"chat.local.", dns.TypeA, 0, busy},
		{"2.0.53.10.in-addr.arpa.", dns.TypePTR, 0, busy},
		{instance, dns.TypeSRV, 0, busy},
		{"_http._tcp.local.", dns.TypePTR, 20 * time.Millisecond, 120*time.Millisecond + busy},
		{"_services._dns-sd._udp.local.", dns.TypePTR, 20 * time.Millisecond, 120*time.Millisecond + busy},
	}
	for _, tt := range tests {
		time.Sleep(1100 * time.Millisecond)
		c.clear()
		asked := time.Now()
		c.ask(query(tt.name, tt.typ))
		fr := c.await(time.Second, isResponse)
		if took := fr.at.Sub(asked); took < tt.min || took > tt.max {
			t.Errorf("%s %s answered after %v", tt.name, dns.TypeToString[tt.typ], took)
		}
		if fr.to != ipv4.group() || fr.from.Addr() != d.addr {
			t.Errorf("%s answered from %v to %v", tt.name, fr.from, fr.to)
		}
	}
}

// A flood makes a handful of packets, and the host is found after it.
func TestJudgeFlood(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{Services: []Service{web()}})
	m.waitHeld(t)
	time.Sleep(2100 * time.Millisecond)
	c.clear()
	begin := time.Now()
	for range 800 {
		c.ask(query("_http._tcp.local.", dns.TypePTR))
		time.Sleep(time.Second / 800)
	}
	time.Sleep(1500 * time.Millisecond)
	// One a second; a busy machine takes more than one to ask.
	if n, took := len(c.where(isResponse)), time.Since(begin); n == 0 || n > 2+int(took.Seconds()) {
		t.Errorf("%d multicasts in %v", n, took)
	}
	time.Sleep(time.Second)
	c.clear()
	c.ask(query(host, dns.TypeA))
	c.await(busy, isResponse)
}

// What a service may have, byte by byte: a name with dots, capitals and UTF-8,
// subtypes, TXT records empty and as long as they may be; and an alias that
// points to the host.
func TestJudgeServices(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	long := []string{"a=" + strings.Repeat("x", 253), "b=" + strings.Repeat("y", 253), "c=" + strings.Repeat("z", 253), "bytes=\x00\xff"}
	m := d.run(Config{
		Aliases: []Alias{{Name: "old", CNAME: true}},
		Services: []Service{
			{Instance: "Büro. 2. Stock", Type: "_ipp._tcp", Subtypes: []string{"_universal", "_print"}, Port: 631},
			{Instance: "Long", Type: "_http._tcp", Port: 80, TXT: long},
		},
	})
	m.waitHeld(t)
	time.Sleep(1100 * time.Millisecond)
	const office = `B\195\188ro\.\ 2\.\ Stock._ipp._tcp.local.`
	tests := []struct {
		name string
		typ  uint16
		want []string
	}{
		{"_ipp._tcp.local.", dns.TypePTR, []string{office}},
		{"_universal._sub._ipp._tcp.local.", dns.TypePTR, []string{office}},
		{"_PRINT._sub._ipp._tcp.local.", dns.TypePTR, []string{office}},
		{"_other._sub._ipp._tcp.local.", dns.TypePTR, nil},
		{office, dns.TypeSRV, []string{"0 0 631 " + host}},
		{strings.ReplaceAll(office, "S", "s"), dns.TypeTXT, []string{`""`}},
		{"Long._http._tcp.local.", dns.TypeTXT, []string{`"` + long[0] + `" "` + long[1] + `" "` + long[2] + `" "bytes=\000\255"`}},
		{"_services._dns-sd._udp.local.", dns.TypePTR, []string{"_http._tcp.local.", "_ipp._tcp.local."}},
		{"old.local.", dns.TypeCNAME, []string{host}},
	}
	for _, tt := range tests {
		time.Sleep(1050 * time.Millisecond)
		c.clear()
		c.ask(query(tt.name, tt.typ))
		if tt.want == nil {
			c.silence(200 * time.Millisecond)
			continue
		}
		fr := c.await(time.Second, isResponse)
		var got []string
		for _, rr := range fr.msg.Answer {
			if strings.EqualFold(rr.Header().Name, tt.name) && rr.Header().Rrtype == tt.typ {
				got = append(got, rr.String()[len(rr.Header().String()):])
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: %q, want %q", tt.name, dns.TypeToString[tt.typ], got, tt.want)
		}
	}
	// An alias that is a CNAME gives the addresses too, to those that know
	// no better.
	time.Sleep(1050 * time.Millisecond)
	c.clear()
	c.ask(query("old.local.", dns.TypeA))
	fr := c.await(time.Second, isResponse)
	if got := texts(fr.msg.Answer, host, dns.TypeA); !slices.Equal(got, []string{"10.53.0.2"}) {
		t.Errorf("old.local: %v", fr.msg)
	}
}

// The kernel's events: addresses, cables, interfaces.
func TestJudgeChanges(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{})
	m.waitHeld(t)

	c.clear()
	d.Addr("eth0", "10.53.0.22/24")
	m.SetInterfaces(d.interfaces())
	c.await(time.Second, func(fr frame) bool { return slices.Contains(ttlsOf(fr.msg, "server22.local. IN A 10.53.0.22"), 120) })

	c.clear()
	d.DelAddr("eth0", "10.53.0.2/24")
	m.SetInterfaces(d.interfaces())
	c.await(time.Second, func(fr frame) bool { return slices.Contains(ttlsOf(fr.msg, "server22.local. IN A 10.53.0.2"), 0) })

	// A cable that is pulled and put back.
	d.Addr("eth0", "10.53.0.4/24")
	m.SetInterfaces(d.interfaces())
	time.Sleep(1200 * time.Millisecond)
	c.hub.Down(d.port)
	netnstest.Eventually(t, 5*time.Second, "the links to be gone", func() bool {
		m.SetInterfaces(d.interfaces()) // the kernel takes its time to say so
		return len(m.State().Links) == 0
	})
	c.clear()
	c.hub.Up(d.port)
	for len(c.where(isProbe)) == 0 && !t.Failed() {
		m.SetInterfaces(d.interfaces()) // as events would
		time.Sleep(20 * time.Millisecond)
	}
	m.waitHeld(t)
	c.await(2*time.Second, func(fr frame) bool { return isIPv4(fr) && isResponse(fr) })
	if n := len(c.where(func(fr frame) bool { return isIPv4(fr) && isProbe(fr) })); n != 3 {
		t.Errorf("%d probes after the cable came back", n)
	}
}

func ttlsOf(m *dns.Msg, record string) []uint32 {
	return ttls([]*sighting{{msg: m}}, record)
}

// Another host with our name, and a simultaneous probe.
func TestJudgeRivals(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	m := d.run(Config{})
	m.waitHeld(t)

	// It defends its name at once.
	time.Sleep(1200 * time.Millisecond)
	c.clear()
	asked := time.Now()
	c.ask(rivalProbe("server22.local. 120 IN A 10.53.0.99"))
	if fr := c.await(time.Second, isResponse); fr.at.Sub(asked) > busy {
		t.Errorf("defended after %v", fr.at.Sub(asked))
	}
	// It gives way to one that has it.
	c.ask(flushed(response("server22.local. 120 IN A 10.53.0.99")))
	probe := c.await(time.Second, isProbe)
	if probe.msg.Question[0].Name != host {
		t.Errorf("probes for %v", probe.msg.Question)
	}
	c.ask(flushed(response("server22.local. 120 IN A 10.53.0.99")))
	m.waitHeld(t)
	if h := m.State().Host(); h.Label() != "server22-2" || h.Rival.Address != judgeIPv4 {
		t.Errorf("state %+v", h)
	}
}

// Two of ours in one network, with one name, through the kernel.
func TestJudgeTwins(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	a := c.device(2).run(Config{Services: []Service{web()}})
	b := c.device(3).run(Config{Services: []Service{web()}})
	time.Sleep(3500 * time.Millisecond)
	a.waitHeld(t)
	b.waitHeld(t)
	names := []string{a.State().Host().Label(), b.State().Host().Label()}
	slices.Sort(names)
	if !slices.Equal(names, []string{"server22", "server22-2"}) {
		t.Errorf("names %v", names)
	}
}

// Two interfaces of one host in one network.
func TestJudgeTwoInterfaces(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	second := c.device(3)
	// eth1 of the same host in the same LAN.
	c.hub.Delete(second.port)
	c.attach(d, "eth1", "10.53.0.3/24")
	m := d.run(Config{})
	m.waitHeld(t)
	time.Sleep(1500 * time.Millisecond)
	if h := m.State().Host(); h.Conflicts != 0 || h.Label() != "server22" || len(h.Links) != 4 {
		t.Errorf("state %+v", h)
	}
	for _, fr := range c.where(func(fr frame) bool { return isIPv4(fr) && isResponse(fr) }) {
		if want := fr.from.Addr().String(); !slices.Equal(texts(fr.msg.Answer, host, dns.TypeA), []string{want}) {
			t.Errorf("from %s: %v", want, texts(fr.msg.Answer, host, dns.TypeA))
		}
	}
}

// A port that another program does not share.
func TestJudgePortTaken(t *testing.T) {
	t.Parallel()
	c := newCable(t)
	d := c.device(2)
	var taken netSocket
	d.Do(func() {
		if used, err := PortInUse(); used || err != nil {
			t.Errorf("before: port in use %v, %v", used, err)
		}
		taken = listenExclusively(t)
		if used, err := PortInUse(); !used || err != nil {
			t.Errorf("then: port in use %v, %v", used, err)
		}
	})
	m := d.run(Config{Interfaces: d.interfaces()})
	time.Sleep(300 * time.Millisecond)
	problems := 0
	for _, l := range m.State().Links {
		if strings.Contains(l.Problem, "address already in use") {
			problems++
		}
	}
	if problems == 0 {
		t.Errorf("state %+v", m.State())
	}
	taken.Close()
	m.waitHeld(t)
}
