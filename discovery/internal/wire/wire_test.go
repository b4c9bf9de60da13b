package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestNames(t *testing.T) {
	tests := []struct {
		labels []string
		text   string
	}{
		{nil, "."},
		{[]string{"server22", "local"}, "server22.local."},
		{[]string{"My Web", "_http", "_tcp", "local"}, "My Web._http._tcp.local."},
		{[]string{"a.b\\c", "local"}, `a\.b\\c.local.`},
		{[]string{"Büro"}, "Büro."},
		{[]string{"\x00\x7f"}, `\000\127.`},
	}
	for _, tt := range tests {
		n, err := NewName(tt.labels...)
		if err != nil {
			t.Errorf("%q: %v", tt.labels, err)
			continue
		}
		if n.String() != tt.text || !slices.Equal(n.Labels(), tt.labels) {
			t.Errorf("%q is written %s and read %q", tt.labels, n, n.Labels())
		}
	}
	for _, labels := range [][]string{{""}, {strings.Repeat("x", 64)}, slices.Repeat([]string{strings.Repeat("x", 63)}, 4)} {
		if _, err := NewName(labels...); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", labels, err)
		}
	}
	if got := MustName("ÄBc", "LOCAL").Fold(); got != MustName("Äbc", "local") {
		t.Errorf("folded %s", got)
	}
	// A length byte of 65 would be an "A"; there is none above 63.
	if n := MustName(strings.Repeat("A", 63)); n.Fold()[0] != 63 {
		t.Error("a length byte was folded")
	}
}

// sample is a message with every kind of record that is produced, written by
// miekg/dns.
func sample(t testing.TB, compress bool) ([]byte, *dns.Msg) {
	m := new(dns.Msg)
	m.Response, m.Authoritative, m.Compress = true, true, compress
	m.Question = []dns.Question{{Name: "Server22.local.", Qtype: dns.TypeA, Qclass: dns.ClassINET | 1<<15}}
	for i, text := range []string{
		"_http._tcp.local. 4500 IN PTR My\\032Web._http._tcp.local.",
		"server22.local. 120 IN A 192.168.7.2",
		"server22.local. 120 IN AAAA fe80::2",
		"My\\032Web._http._tcp.local. 120 IN SRV 0 0 80 Server22.local.",
		"My\\032Web._http._tcp.local. 4500 IN TXT \"path=/\"",
		"server22.local. 120 IN NSEC server22.local. A AAAA",
		"server22.local. 120 IN MX 10 mail.server22.local.",
		"server22.local. 120 IN SOA ns.local. me.local. 1 2 3 4 5",
		"server22.local. 120 IN RP me.local. txt.local.",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			rr.Header().Class |= 1 << 15
		}
		m.Answer = append(m.Answer, rr)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b, m
}

// What miekg/dns writes is read, compressed or not, to the same data.
func TestUnpack(t *testing.T) {
	var datas [2][][]byte
	for i, compress := range []bool{false, true} {
		b, want := sample(t, compress)
		var m Message
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		q := m.Questions[0]
		if string(q.Name) != string(MustName("Server22", "local")) || string(q.Key) != string(MustName("server22", "local")) ||
			!q.Unicast || q.Class != ClassIN || q.Type != TypeA || !m.Response() || !m.Plain() || m.Truncated() {
			t.Errorf("question %+v of %+v", q, m)
		}
		for j := range m.Answers {
			r := &m.Answers[j]
			h := want.Answer[j].Header()
			if r.Type != h.Rrtype || r.TTL != h.Ttl || r.Flush != (j > 0) || r.Class != ClassIN {
				t.Errorf("record %+v, want %v", r, h)
			}
			data, err := m.Data(r)
			if err != nil {
				t.Errorf("data of %v: %v", want.Answer[j], err)
			}
			datas[i] = append(datas[i], slices.Clone(data))
		}
	}
	if !slices.EqualFunc(datas[0], datas[1], bytes.Equal) {
		t.Errorf("compression changes data:\n%x\n%x", datas[0], datas[1])
	}
}

// What is written is read by miekg/dns, smaller than without compression.
func TestBuild(t *testing.T) {
	var m Message
	plain, want := sample(t, false)
	if err := m.Unpack(plain); err != nil {
		t.Fatal(err)
	}
	var b Builder
	b.Reset(0, FlagResponse|FlagAuthoritative, 1472)
	b.Question(Name(m.Questions[0].Name), TypeA, ClassIN|1<<15)
	for i := range m.Answers {
		r := &m.Answers[i]
		data, _ := m.Data(r)
		class := r.Class
		if r.Flush {
			class |= 1 << 15
		}
		if !b.Record(Answer, Name(r.Key), r.Type, class, r.TTL, data) {
			t.Fatal("does not fit")
		}
	}
	if len(b.Bytes()) >= len(plain) {
		t.Errorf("%d bytes, not fewer than %d", len(b.Bytes()), len(plain))
	}
	got := new(dns.Msg)
	if err := got.Unpack(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if a, b := strings.ToLower(got.String()), strings.ToLower(want.String()); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

// A record that does not fit leaves no trace.
func TestBuilderLimit(t *testing.T) {
	var b Builder
	b.Reset(0, FlagResponse, 100)
	host := MustName("server22", "local")
	fits := 0
	for range 20 {
		if b.Record(Answer, host, TypeA, ClassIN, 120, []byte{1, 2, 3, 4}) {
			fits++
		}
	}
	var m Message
	if err := m.Unpack(b.Bytes()); err != nil || len(m.Answers) != fits || len(b.Bytes()) > 100 || fits != 4 {
		t.Errorf("%d records of %d in %d bytes: %v", len(m.Answers), fits, len(b.Bytes()), err)
	}
}

// A name whose labels repeat is not compressed into itself.
func TestRepeatedLabels(t *testing.T) {
	var b Builder
	b.Reset(0, 0, 512)
	name := MustName("0", "0", "0", "0", "ip6", "arpa")
	b.Question(name, TypePTR, ClassIN)
	b.Question(MustName("0", "0", "ip6", "arpa"), TypePTR, ClassIN)
	var m Message
	if err := m.Unpack(b.Bytes()); err != nil || string(m.Questions[0].Name) != string(name) || len(m.Questions[1].Name) != 14 {
		t.Errorf("%v: %+v", err, m.Questions)
	}
}

// The parser agrees with miekg/dns on what it accepts, and what it accepts can
// be written again and be read as the same.
func FuzzUnpack(f *testing.F) {
	for _, compress := range []bool{false, true} {
		b, _ := sample(f, compress)
		f.Add(b)
	}
	f.Add([]byte{11: 0})
	loop := append(make([]byte, 12), 0xc0, 12, 0, 1, 0, 1)
	loop[5] = 1
	f.Add(loop)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m Message
		if m.Unpack(raw) != nil {
			return
		}
		for _, q := range m.Questions {
			checkName(t, q.Name)
		}
		for _, section := range [][]Record{m.Answers, m.Authorities, m.Additionals} {
			for i := range section {
				checkName(t, section[i].Key)
				data, err := m.Data(&section[i])
				if err == nil && !SameData(section[i].Type, data, data) {
					t.Error("data differs from itself")
				}
				rewrite(t, &m, &section[i], data, err)
			}
		}
		other := new(dns.Msg)
		if other.Unpack(raw) == nil && len(other.Question) != len(m.Questions) && len(raw) > headerLen {
			t.Errorf("%d questions, miekg/dns reads %d", len(m.Questions), len(other.Question))
		}
	})
}

func checkName(t *testing.T, name []byte) {
	t.Helper()
	if _, err := NewName(Name(name).Labels()...); err != nil {
		t.Errorf("read an invalid name %x: %v", name, err)
	}
}

func rewrite(t *testing.T, m *Message, r *Record, data []byte, err error) {
	if err != nil || len(data) > 60000 {
		return
	}
	var b Builder
	b.Reset(0, 0, 1<<16)
	b.Question(Name(r.Key), 1, 1)
	b.Record(Answer, Name(r.Key), r.Type, r.Class, r.TTL, data)
	var again Message
	if err := again.Unpack(b.Bytes()); err != nil {
		t.Fatalf("%x is written as %x: %v", data, b.Bytes(), err)
	}
	got, err := again.Data(&again.Answers[0])
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%x is read as %x, %v", data, got, err)
	}
}

func BenchmarkUnpack(b *testing.B) {
	raw, _ := sample(b, true)
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		if m.Unpack(raw) != nil {
			b.Fatal("malformed")
		}
	}
}

// The dearest packet there is: records whose names go through as many pointers
// as possible.
func BenchmarkUnpackHostile(b *testing.B) {
	raw := make([]byte, headerLen)
	raw = append(raw, 1, 'x', 0, 0, 1, 0, 1)
	binary.BigEndian.PutUint16(raw[4:], 1)
	last, n := headerLen, 0
	for len(raw) < 8980 {
		here := len(raw)
		raw = append(raw, 1, 'x', 0xc0|byte(last>>8), byte(last), 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)
		last = here
		if n++; n%maxHops == 0 {
			last = headerLen
		}
	}
	binary.BigEndian.PutUint16(raw[6:], uint16(n))
	var m Message
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Unpack(raw); err != nil {
			b.Fatal(err)
		}
	}
}
