package llmnr

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"server22.local/appliance/discovery"
)

func question(name string, typ uint16) *dns.Msg {
	m := new(dns.Msg)
	m.Id = dns.Id()
	m.Question = []dns.Question{{Name: name, Qtype: typ, Qclass: dns.ClassINET}}
	return m
}

// texts are the answers of a message.
func texts(m *dns.Msg) (list []string) {
	for _, rr := range m.Answer {
		list = append(list, strings.Join(strings.Fields(rr.String()), " "))
	}
	return list
}

var testZone = zone{"server22", []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("fe80::7")}}

func TestAnswer(t *testing.T) {
	const reverse6 = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.E.F.ip6.arpa."
	const a, aaaa = "server22. 30 IN A 192.0.2.7", "server22. 30 IN AAAA fe80::7"
	for _, tt := range []struct {
		name string
		typ  uint16
		want []string
	}{
		{"server22.", dns.TypeA, []string{a}},
		{"server22.", dns.TypeAAAA, []string{aaaa}},
		{"server22.", dns.TypeANY, []string{a, aaaa}},
		{"server22.", dns.TypeHTTPS, []string{}},
		{"7.2.0.192.in-addr.arpa.", dns.TypePTR, []string{"7.2.0.192.in-addr.arpa. 30 IN PTR server22."}},
		{"7.2.0.192.in-addr.arpa.", dns.TypeA, []string{}},
		{reverse6, dns.TypeANY, []string{reverse6 + " 30 IN PTR server22."}},
		{"8.2.0.192.in-addr.arpa.", dns.TypePTR, nil},
		{"server.", dns.TypeA, nil},
		{"server22.local.", dns.TypeA, nil},
		{".", dns.TypeANY, nil},
	} {
		m := testZone.answer(question(tt.name, tt.typ))
		if tt.want == nil {
			if m != nil {
				t.Errorf("%s %s: %v", tt.name, dns.TypeToString[tt.typ], m)
			}
			continue
		}
		if m == nil || !slices.Equal(texts(m), tt.want) {
			t.Errorf("%s %s: %v, want %q", tt.name, dns.TypeToString[tt.typ], m, tt.want)
		}
	}
}

// What does not fit says so, unless the client can take more.
func TestTruncated(t *testing.T) {
	z := zone{name: "server22"}
	for i := range 30 {
		z.addresses = append(z.addresses, netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)))
	}
	q := question("server22.", dns.TypeAAAA)
	b, err := datagram(q, z.answer(q))
	m := new(dns.Msg)
	if err != nil || len(b) > dns.MinMsgSize || m.Unpack(b) != nil || !m.Truncated {
		t.Errorf("%d bytes, %v: %v", len(b), m, err)
	}
	q.SetEdns0(1400, false)
	if b, err = datagram(q, z.answer(q)); err != nil || m.Unpack(b) != nil || m.Truncated || len(m.Answer) != 30 {
		t.Errorf("with EDNS: %d bytes, %v: %v", len(b), m, err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a.b", "a b", strings.Repeat("a", 64)} {
		if _, err := New(Config{Name: name}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

// FuzzReply hands strangers' packets to a link.
func FuzzReply(f *testing.F) {
	r, err := New(Config{Name: "server22"})
	if err != nil {
		f.Fatal(err)
	}
	l := newLink(r, discovery.Interface{Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}}, ipv4, "server22")
	f.Add(pack(f, question("server22.", dns.TypeA)))
	f.Add(pack(f, question("7.2.0.192.in-addr.arpa.", dns.TypePTR)))
	edns := question("server22.", dns.TypeANY)
	edns.SetEdns0(0xffff, true)
	f.Add(pack(f, edns))
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, reply := range [][]byte{l.reply(b, netip.MustParseAddr("192.0.2.9")), l.replyTCP(b)} {
			if len(reply) > 0 && len(reply) < 12 {
				t.Errorf("a reply of %d bytes", len(reply))
			}
		}
		if reply := l.reply(b, netip.MustParseAddr("198.51.100.1")); reply != nil {
			t.Error("an off-link host is answered")
		}
	})
}
