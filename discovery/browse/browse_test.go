package browse

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grandcat/zeroconf"
	"go.uber.org/goleak"

	"server22.local/appliance/discovery"
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

func rr(s wire.Section, name wire.Name, typ uint16, ttl uint32, data string) func(*wire.Builder) {
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
	missing := enter(t, c, response(rr(wire.Answer, http, wire.TypePTR, 4500, string(mine))))
	if diff := cmp.Diff([]wanted{{mine, wire.TypeSRV}, {mine, wire.TypeTXT}}, missing, cmp.AllowUnexported(wanted{})); diff != "" {
		t.Error(diff)
	}
	if got := c.services(); len(got) != 0 {
		t.Errorf("a service without a host: %+v", got)
	}
	missing = enter(t, c, response(
		rr(wire.Answer, mine, wire.TypeSRV, 120, "\x00\x00\x00\x00\x1f\x90"+string(host)),
		rr(wire.Answer, mine, wire.TypeTXT, 4500, "\x06path=/\x00\x01x"),
	))
	if len(missing) != 2 || missing[0].name != host {
		t.Errorf("missing %v", missing)
	}
	missing = enter(t, c, response(
		rr(wire.Answer, host, wire.TypeAAAA, 120, string(netip.MustParseAddr("fe80::1").AsSlice())),
		rr(wire.Answer, host, wire.TypeA, 120, "\x0a\x00\x00\x02"),
		rr(wire.Answer, host, wire.TypeA, 0, "\x0a\x00\x00\x03"), // a goodbye
		rr(wire.Answer, wire.MustName("other", "local"), wire.TypeA, 120, "\x0a\x00\x00\x04"),
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
		enter(t, c, response(rr(wire.Answer, http, wire.TypePTR, 120, string(name))))
	}
	if n := len(c.cache.sets[setKey{http, wire.TypePTR}]); n != maxInstances {
		t.Errorf("%d instances", n)
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

// What zeroconf tells is escaped, may come late, and never replaces what the
// askers have heard.
func TestCatalogTakesEntries(t *testing.T) {
	interfaces := []discovery.Interface{
		{Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24")}},
		{Name: "wlan0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.9/24")}},
	}
	entry := func(addrs ...string) *zeroconf.ServiceEntry {
		e := zeroconf.NewServiceEntry(`My\ Web\.\ \195\164`, "_http._tcp", "local")
		e.HostName, e.Port, e.Text = `K\195\188che.local.`, 8080, []string{`path=/`, `note=\"a\\b\" \195\164`, ""}
		for _, addr := range addrs {
			e.AddrIPv6 = append(e.AddrIPv6, net.ParseIP(addr))
		}
		return e
	}
	c := newCatalog("_http._tcp", http)
	for _, e := range []*zeroconf.ServiceEntry{entry("fe80::1"), entry("10.1.0.2"), entry("fe80::1", "10.1.0.2")} {
		name, err := entryName(e)
		if err != nil {
			t.Fatal(err)
		}
		c.enterEntry(name, e, interfaces)
	}
	want := []Service{{
		Instance: "My Web. ä", Type: "_http._tcp", Host: "Küche.local", Port: 8080, TXT: []string{"path=/", `note="a\b" ä`},
		Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("fe80::1%wlan0")}, Interface: "wlan0",
	}}
	if diff := cmp.Diff(want, c.services(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	enter(t, c, response(rr(wire.Answer, wire.MustName("My Web. ä", "_http", "_tcp", "local"), wire.TypeTXT, 120, "\x01x")))
	if got := c.services()[0].TXT; len(got) != 1 || got[0] != "x" {
		t.Errorf("a later TXT record is not taken: %q", got)
	}
}

func TestEntryNames(t *testing.T) {
	long := zeroconf.NewServiceEntry(strings.Repeat("x", 64), "_http._tcp", "local")
	if _, err := entryName(long); err == nil {
		t.Error("a label of 64 bytes was taken")
	}
	for text, want := range map[string]string{`plain`: "plain", `\"q\"`: `"q"`, `\065\\`: `A\`, `end\`: `end\`, `\999`: "999"} {
		if got := unescape(text); got != want {
			t.Errorf("%s is %q, not %q", text, got, want)
		}
	}
}

// Host keeps what the first answer says of the name, and of no other.
func TestHostKeepsItsAddresses(t *testing.T) {
	name := wire.MustName("Kitchen", "local")
	answered := 0
	h := &host{name: name.Fold(), answered: func() { answered++ }}
	take := func(packet []byte) {
		t.Helper()
		var m wire.Message
		if err := m.Unpack(packet); err != nil {
			t.Fatal(err)
		}
		h.enter(&m, "eth0")
	}
	take(response(
		rr(wire.Answer, wire.MustName("other", "local"), wire.TypeA, 120, "\x0a\x00\x00\x04"),
		rr(wire.Answer, name, wire.TypeA, 0, "\x0a\x00\x00\x03"), // a goodbye
	))
	if answered != 0 {
		t.Error("another host's answer was taken")
	}
	take(response(
		rr(wire.Answer, name, wire.TypeA, 120, "\x0a\x00\x00\x02"),
		rr(wire.Additional, wire.MustName("kitchen", "local"), wire.TypeAAAA, 120, string(netip.MustParseAddr("fe80::1").AsSlice())),
	))
	want := []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fe80::1%eth0")}
	if answered != 1 || !slices.Equal(h.addrs, want) {
		t.Errorf("%v after %d answers; want %v after 1", h.addrs, answered, want)
	}
}
