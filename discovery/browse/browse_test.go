package browse

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"server22.local/appliance/discovery/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var http = wire.MustName("_http", "_tcp", "local")

// response makes a packet of records.
func response(records ...func(*wire.Builder)) []byte {
	var b wire.Builder
	b.Reset(0, wire.FlagResponse|wire.FlagAuthoritative, 9000)
	for _, add := range records {
		add(&b)
	}
	return append([]byte(nil), b.Bytes()...)
}

func record(s wire.Section, name wire.Name, typ uint16, ttl uint32, data string) func(*wire.Builder) {
	return func(b *wire.Builder) { b.Record(s, name, typ, wire.ClassIN, ttl, []byte(data)) }
}

func enter(t *testing.T, c *catalog, packet []byte) []wanted {
	t.Helper()
	var m wire.Message
	if err := m.Unpack(packet); err != nil {
		t.Fatal(err)
	}
	return c.enter(&m, "eth0")
}

func TestCatalogPutsPacketsTogether(t *testing.T) {
	c := newCatalog("_http._tcp", http)
	mine := wire.MustName("My Web. 2", "_http", "_tcp", "local")
	host := wire.MustName("Kitchen", "local")

	// The pointer alone: the rest has to be asked for.
	missing := enter(t, c, response(record(wire.Answer, http, wire.TypePTR, 4500, string(mine))))
	if diff := cmp.Diff([]wanted{{mine, wire.TypeSRV}, {mine, wire.TypeTXT}}, missing, cmp.AllowUnexported(wanted{})); diff != "" {
		t.Error(diff)
	}
	if got := c.services(); len(got) != 0 {
		t.Errorf("a service without a host: %+v", got)
	}
	missing = enter(t, c, response(
		record(wire.Answer, mine, wire.TypeSRV, 120, "\x00\x00\x00\x00\x1f\x90"+string(host)),
		record(wire.Answer, mine, wire.TypeTXT, 4500, "\x06path=/\x00\x01x"),
	))
	if len(missing) != 2 || missing[0].name != host {
		t.Errorf("missing %v", missing)
	}
	missing = enter(t, c, response(
		record(wire.Answer, host, wire.TypeAAAA, 120, string(netip.MustParseAddr("fe80::1").AsSlice())),
		record(wire.Answer, host, wire.TypeA, 120, "\x0a\x00\x00\x02"),
		record(wire.Answer, host, wire.TypeA, 0, "\x0a\x00\x00\x03"), // a goodbye
		record(wire.Answer, wire.MustName("other", "local"), wire.TypeA, 120, "\x0a\x00\x00\x04"),
	))
	want := []Service{{
		Instance: "My Web. 2", Type: "_http._tcp", Host: "Kitchen.local", Port: 8080, TXT: []string{"path=/", "x"},
		Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fe80::1%eth0")}, Interface: "eth0",
	}}
	if diff := cmp.Diff(want, c.services(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || len(missing) != 0 {
		t.Errorf("missing %v; %s", missing, diff)
	}
}

func TestCatalogIsBounded(t *testing.T) {
	c := newCatalog("_http._tcp", http)
	for i := range 2 * maxInstances {
		name := wire.MustName(string(rune('a'+i%26))+time.Duration(i).String(), "_http", "_tcp", "local")
		enter(t, c, response(record(wire.Answer, http, wire.TypePTR, 120, string(name))))
	}
	if len(c.instances) != maxInstances {
		t.Errorf("%d instances", len(c.instances))
	}
}

func TestTypes(t *testing.T) {
	for _, typ := range []string{"", "http", "_http", "_http._sctp", "_http._tcp.local", "http._tcp"} {
		if _, err := Services(t.Context(), typ); err == nil {
			t.Errorf("%q was taken as a type", typ)
		}
	}
}

func FuzzTexts(f *testing.F) {
	f.Add([]byte("\x06path=/\x00"))
	f.Add([]byte("\xffshort"))
	f.Fuzz(func(_ *testing.T, data []byte) { texts(data) })
}
