package dhcp4

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestClientID(t *testing.T) {
	for kind, want := range map[string][]byte{
		"":           {1, 2, 0x82, 0, 0, 0, 2},
		"mac":        {1, 2, 0x82, 0, 0, 0, 2},
		"none":       nil,
		"duid":       {0xff, 0, 0, 0, 2, 0, 3, 0, 1, 2, 0x82, 0, 0, 0, 2},
		"00:64:65":   {0, 0x64, 0x65},
		"ff00010203": {0xff, 0, 1, 2, 3},
	} {
		if got, err := ClientID(kind, clientMAC); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", kind, got, err, want)
		}
	}
	for _, kind := range []string{"macs", "01", "0", string(bytes.Repeat([]byte("ab"), 300))} {
		if got, err := ClientID(kind, clientMAC); err == nil {
			t.Errorf("%q gave %v", kind, got)
		}
	}
}

func TestFrames(t *testing.T) {
	frame := wrap([]byte("payload"), leasedIP, serverIP)
	if sum(0, frame[:ipHeader]) != 0xffff {
		t.Error("the header's checksum is wrong")
	}
	if _, _, err := unwrap(frame); err == nil {
		t.Error("a packet to a server was taken for one to a client")
	}
	frame[ipHeader+1], frame[ipHeader+3] = serverPort, clientPort
	padded := append(bytes.Clone(frame), make([]byte, 20)...)
	for _, b := range [][]byte{frame, padded} {
		if payload, from, err := unwrap(b); err != nil || string(payload) != "payload" || from != leasedIP {
			t.Errorf("unwrapped %q from %v, %v", payload, from, err)
		}
	}
	for name, break_ := range map[string]func([]byte) []byte{
		"cut":            func(b []byte) []byte { return b[:len(b)-1] },
		"checksum":       func(b []byte) []byte { b[8]--; return b },
		"fragment":       func(b []byte) []byte { b[6] |= 0x20; return b },
		"version":        func(b []byte) []byte { b[0] = 0x65; return b },
		"port":           func(b []byte) []byte { b[ipHeader+1] = 99; return b },
		"length under 8": func(b []byte) []byte { b[ipHeader+5] = 7; return b },
	} {
		if _, _, err := unwrap(break_(bytes.Clone(frame))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// bootReply is a message to us with these options, and with others in "file"
// and "sname".
func bootReply(options, file, sname []byte) []byte {
	m := make([]byte, optionsAt, optionsAt+len(options))
	copy(m, []byte{2, 1, 6, 0})
	copy(m[16:], leasedIP.AsSlice())
	copy(m[28:], clientMAC[:])
	copy(m[snameAt:], sname)
	copy(m[fileAt:], file)
	copy(m[optionsAt-4:], []byte{99, 130, 83, 99})
	return append(m, options...)
}

func TestOptionsInOtherFields(t *testing.T) {
	options := []byte{53, 1, 2, 54, 4, 10, 82, 1, 1, 1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 0, 60, 52, 1, 3, 255}
	file, sname := []byte{6, 4, 10, 82, 1, 53, 255}, []byte{6, 4, 10, 82, 1, 54, 15, 3, 'l', 'a', 'n', 255}
	for overload, want := range map[byte]string{
		1: "[10.82.1.53] ", 2: "[10.82.1.54] lan", 3: "[10.82.1.53 10.82.1.54] lan", 0: "[] ", 4: "[] ",
	} {
		options[23] = overload
		a, err := parseAnswer(bootReply(options, file, sname), clientMAC)
		if err != nil {
			t.Fatal(err)
		}
		l, err := parseLease(a.raw, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(l.DNS, " ", l.Domain); got != want {
			t.Errorf("overload %d: %q; want %q", overload, got, want)
		}
	}
	options[23] = 2
	if _, err := parseAnswer(bootReply(options, []byte{6, 200, 1}, nil), clientMAC); err != nil {
		t.Errorf("a field that is not in use counted: %v", err)
	}
	options[23] = 1
	if _, err := parseAnswer(bootReply(options, []byte{6, 200, 1}, nil), clientMAC); err == nil {
		t.Error("an option that goes beyond its field was accepted")
	}
}

func TestTheTypeComesFirst(t *testing.T) {
	for _, m := range []*dhcpv4.DHCPv4{
		{Options: dhcpv4.Options{53: {1}}},
		{Options: dhcpv4.Options{53: {3}, 61: {1, 2}}},
		{Options: dhcpv4.Options{12: []byte("server22"), 50: leasedIP.AsSlice(), 53: {3}, 55: wanted}},
	} {
		b := encode(m)
		if !bytes.Equal(b[optionsAt:optionsAt+2], []byte{53, 1}) || len(b) != len(m.ToBytes()) {
			t.Errorf("% x", b[optionsAt:])
		}
		if again, err := dhcpv4.FromBytes(b); err != nil || !cmp.Equal(again.Options, m.Options) {
			t.Errorf("%v, %v; want %v", again, err, m)
		}
	}
	none := &dhcpv4.DHCPv4{Options: dhcpv4.Options{12: []byte("server22"), 55: wanted}}
	if b := encode(none); !bytes.Equal(b, none.ToBytes()) {
		t.Errorf("a message without a type was changed: % x", b[optionsAt:])
	}
}

func FuzzUnwrap(f *testing.F) {
	frame := wrap([]byte("payload"), leasedIP, serverIP)
	frame[ipHeader+1], frame[ipHeader+3] = serverPort, clientPort
	f.Add(frame)
	f.Fuzz(func(t *testing.T, b []byte) {
		if payload, _, err := unwrap(b); err == nil && len(payload) > len(b)-ipHeader-udpHeader {
			t.Errorf("%d bytes out of %d", len(payload), len(b))
		}
	})
}

// FuzzLease holds that whatever a server sends, a lease is sane.
func FuzzLease(f *testing.F) {
	newSeed := func(options ...byte) { f.Add(bootReply(options, []byte{6, 4, 10, 82, 1, 53, 255}, nil)) }
	newSeed(53, 1, 2, 54, 4, 10, 82, 1, 1, 1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 0, 60, 121, 5, 0, 10, 82, 1, 1, 255)
	newSeed(53, 1, 5, 54, 4, 10, 82, 1, 1, 1, 4, 255, 255, 255, 0, 51, 4, 255, 255, 255, 255,
		119, 7, 3, 'l', 'a', 'n', 0, 0xc0, 0, 81, 5, 5, 0, 0, 1, 'x', 15, 3, 'l', 'a', 'n', 26, 2, 5, 220, 255)
	newSeed(53, 1, 2, 54, 4, 10, 82, 1, 1, 1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 0, 60, 52, 1, 3, 255)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b, clientMAC)
		if err != nil {
			return
		}
		l, err := parseLease(a.raw, time.Now())
		if err != nil {
			return
		}
		if !isHost(l.Prefix.Addr()) || !isHost(l.Server) || l.Prefix.Bits() < 8 {
			t.Errorf("prefix %v, server %v", l.Prefix, l.Server)
		}
		if l.Duration != Forever && !(0 < l.RenewAfter && l.RenewAfter < l.RebindAfter && l.RebindAfter < l.Duration) {
			t.Errorf("times %v, %v, %v", l.RenewAfter, l.RebindAfter, l.Duration)
		}
		for _, name := range append(l.Search, l.Domain, l.FQDN) {
			if name != "" && !validName(name) {
				t.Errorf("name %q", name)
			}
		}
		for _, addr := range append(append(l.DNS, l.Routers...), l.NTP...) {
			if !isHost(addr) {
				t.Errorf("address %v", addr)
			}
		}
		if len(l.Routes) > maxRoutes {
			t.Errorf("%d routes", len(l.Routes))
		}
	})
}

func TestFileStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := FileStore(filepath.Join(t.TempDir(), "sub", "lease.json"))
		if l, err := store.Load(); l != nil || err != nil {
			t.Errorf("loaded %v, %v from nothing", l, err)
		}
		lease := &Lease{Prefix: netip.PrefixFrom(leasedIP, 24), Server: serverIP, DNS: []netip.Addr{serverIP},
			Obtained: time.Now(), Duration: time.Hour, RenewAfter: 30 * time.Minute, RebindAfter: 50 * time.Minute}
		time.Sleep(10 * time.Minute)
		if err := store.Save(lease); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		got, err := store.Load()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lease, got, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}), cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(31 * time.Minute)
		if got, _ = store.Load(); !got.Expired() {
			t.Errorf("expires %v, which is over", got.Expires())
		}
		if err := store.Forget(); err != nil {
			t.Error(err)
		}
		if err := store.Forget(); err != nil {
			t.Errorf("forgetting nothing: %v", err)
		}
	})
}

// A machine without a clock boots in the past: the lease has as long to live as
// it had when it was saved.
func TestFileStoreWithoutAClock(t *testing.T) {
	store := FileStore(filepath.Join(t.TempDir(), "lease.json"))
	text := `{"lease":{"prefix":"10.82.1.22/24","server":"10.82.1.1","obtained":"2199-01-01T00:00:00Z","duration":3600000000000,
		"renew_after":1800000000000,"rebind_after":3000000000000},"saved_at":"2199-01-01T00:10:00Z","remaining":3000000000000}`
	if err := os.WriteFile(string(store), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	lease, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(lease.Expires()).Round(time.Second); left != 50*time.Minute {
		t.Errorf("%v left; want 50m", left)
	}
	for _, junk := range []string{"", "{}", "null", `{"lease":{"prefix":"::1/64"}}`} {
		_ = os.WriteFile(string(store), []byte(junk), 0o600)
		if l, err := store.Load(); err == nil {
			t.Errorf("loaded %+v from %q", l, junk)
		}
	}
}
