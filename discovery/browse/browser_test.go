package browse

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"server22.local/appliance/discovery"
)

// A wire is a network in memory: what the browser sends is noted, what the test
// says is heard.
type testWire struct {
	t     *testing.T
	inbox chan []byte
	from  netip.AddrPort

	mu   sync.Mutex // guards all following fields
	sent []question
}

type question struct {
	at  time.Time
	msg *dns.Msg
}

type wireSocket struct {
	*testWire
	closed chan struct{}
}

func (s wireSocket) Receive(b []byte) (int, netip.AddrPort, error) {
	select {
	case p := <-s.inbox:
		return copy(b, p), s.from, nil
	case <-s.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (s wireSocket) Send(b []byte, to netip.AddrPort) error {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil || to.String() != "224.0.0.251:5353" {
		s.t.Errorf("sent to %v: %v", to, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, question{time.Now(), m})
	return nil
}

func (s wireSocket) Close() error { close(s.closed); return nil }

// questions are those sent since the last call, as "name TYPE", with their
// times after begin.
func (w *testWire) questions() (list []question) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	list, w.sent = w.sent, nil
	return list
}

func (w *testWire) asked(name string) (times []time.Time) {
	for _, q := range w.questions() {
		if q.msg.Question[0].Name == name {
			times = append(times, q.at)
		}
	}
	return times
}

// say is a response, or a query of others if there are questions before it.
func (w *testWire) say(records ...string) { w.sayFrom(5353, nil, records...) }

func (w *testWire) sayFrom(port uint16, ask []string, records ...string) {
	w.t.Helper()
	m := new(dns.Msg)
	m.Response = ask == nil
	for _, name := range ask {
		m.Question = append(m.Question, dns.Question{Name: name, Qtype: dns.TypePTR, Qclass: dns.ClassINET})
	}
	for _, text := range records {
		text, flush := strings.CutSuffix(text, " FLUSH")
		rr, err := dns.NewRR(text)
		if err != nil {
			w.t.Fatal(err)
		}
		if flush {
			rr.Header().Class |= 1 << 15
		}
		m.Answer = append(m.Answer, rr)
	}
	b, err := m.Pack()
	if err != nil {
		w.t.Fatal(err)
	}
	w.from = netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)
	w.inbox <- b
	synctest.Wait()
}

// searching runs a browser on a wire.
func searching(t *testing.T, f func(b *Browser, w *testWire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &testWire{t: t, inbox: make(chan []byte)}
		b, err := New(Config{
			Type: "_http._tcp",
			Interfaces: []discovery.Interface{{
				Index: 2, Name: "eth0", Flags: net.FlagUp | net.FlagRunning | net.FlagMulticast,
				Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
			}},
			open: func(discovery.Interface, family) (socket, error) { return wireSocket{w, make(chan struct{})}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		f(b, w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

const ptr = "_http._tcp.local. 4500 IN PTR web._http._tcp.local."

var whole = []string{
	ptr, "web._http._tcp.local. 120 IN SRV 0 0 80 host.local. FLUSH",
	`web._http._tcp.local. 4500 IN TXT "path=/" FLUSH`, "host.local. 120 IN A 10.0.0.2 FLUSH",
}

// Questions come a second after each other, then two, then four, up to an hour
// (RFC 6762 §5.2), with what is known (§7.1).
func TestQuestions(t *testing.T) {
	searching(t, func(b *Browser, w *testWire) {
		begin := time.Now()
		time.Sleep(40 * time.Second)
		times := w.asked("_http._tcp.local.")
		if len(times) != 6 || times[0].Sub(begin) < 20*time.Millisecond || times[0].Sub(begin) > 120*time.Millisecond {
			t.Fatalf("asked at %v after %v", times, begin)
		}
		for i := 1; i < len(times); i++ {
			if pause := times[i].Sub(times[i-1]); pause != time.Second<<(i-1) {
				t.Errorf("question %d comes %v after the one before", i, pause)
			}
		}
		w.say(whole...)
		time.Sleep(64 * time.Second)
		for _, q := range w.questions() {
			if q.msg.Question[0].Name == "_http._tcp.local." && (len(q.msg.Answer) != 1 || q.msg.Answer[0].Header().Ttl < 4400) {
				t.Errorf("asked without what is known: %v", q.msg)
			}
		}
		time.Sleep(9 * time.Hour)
		w.questions()
		time.Sleep(time.Hour)
		if n := len(w.asked("_http._tcp.local.")); n != 1 {
			t.Errorf("asked %d times in the tenth hour", n)
		}
	})
}

// A record is asked for at 80, 85, 90 and 95 % of its life (§5.2); what is not
// confirmed is forgotten, and asked for if the service lacks it.
func TestRefresh(t *testing.T) {
	searching(t, func(b *Browser, w *testWire) {
		time.Sleep(10 * time.Second)
		told := time.Now()
		w.say(whole...)
		if got := b.Services(); len(got) != 1 || got[0].Host != "host.local" || got[0].Port != 80 || len(got[0].Addrs) != 1 || len(got[0].TXT) != 1 {
			t.Fatalf("services %+v", got)
		}
		w.questions()
		time.Sleep(119 * time.Second)
		times := w.asked("host.local.")
		if len(times) != 4 {
			t.Fatalf("asked for the address at %v", times)
		}
		for i, at := range times {
			from := told.Add(time.Duration(80+5*i) * 120 * time.Second / 100)
			if at.Before(from) || at.After(from.Add(2400*time.Millisecond)) {
				t.Errorf("asked %v after it was told", at.Sub(told))
			}
		}
		w.say(whole[3], whole[1])
		time.Sleep(90 * time.Second)
		if n := len(w.asked("host.local.")); n != 0 || len(b.Services()) != 1 {
			t.Errorf("confirmed, and asked for %d times; services %+v", n, b.Services())
		}
		time.Sleep(40 * time.Second)
		if got := b.Services(); len(got) != 0 {
			t.Errorf("nobody confirms %+v", got)
		}
		if n := len(w.asked("web._http._tcp.local.")); n < 5 {
			t.Errorf("asked %d times for what the service lacks", n)
		}
	})
}

// Goodbyes and new data take effect after a second (§10.1, §10.2).
func TestWithdrawn(t *testing.T) {
	searching(t, func(b *Browser, w *testWire) {
		time.Sleep(time.Second)
		w.say(whole...)
		time.Sleep(5 * time.Second)
		w.say("host.local. 120 IN A 10.0.0.3 FLUSH")
		time.Sleep(900 * time.Millisecond)
		if got := b.Services(); len(got[0].Addrs) != 2 {
			t.Errorf("addresses %v", got[0].Addrs)
		}
		time.Sleep(200 * time.Millisecond)
		if got := b.Services(); !slices.Equal(got[0].Addrs, []netip.Addr{netip.MustParseAddr("10.0.0.3")}) {
			t.Errorf("addresses %v", got[0].Addrs)
		}
		w.say("host.local. 120 IN A 10.0.0.4") // one more, not instead
		time.Sleep(2 * time.Second)
		if got := b.Services(); len(got[0].Addrs) != 2 {
			t.Errorf("addresses %v", got[0].Addrs)
		}
		w.sayFrom(5354, nil, "_http._tcp.local. 0 IN PTR web._http._tcp.local.") // not from the port
		time.Sleep(2 * time.Second)
		if len(b.Services()) != 1 {
			t.Error("a response from another port was taken")
		}
		w.say("_http._tcp.local. 0 IN PTR web._http._tcp.local.")
		time.Sleep(1100 * time.Millisecond)
		if got := b.Services(); len(got) != 0 {
			t.Errorf("services %+v", got)
		}
	})
}

// The question of another host saves ours (§7.3), unless it knows more; one
// that nobody answers makes doubtful what we know (§10.5).
func TestOverheard(t *testing.T) {
	searching(t, func(b *Browser, w *testWire) {
		time.Sleep(3500 * time.Millisecond) // asked at 0, 1, 3; the next is at 7
		w.questions()
		w.sayFrom(5353, []string{"_http._tcp.local."})
		time.Sleep(5 * time.Second)
		if n := len(w.asked("_http._tcp.local.")); n != 0 {
			t.Errorf("asked %d times what another host has asked", n)
		}
		time.Sleep(4 * time.Second)
		if n := len(w.asked("_http._tcp.local.")); n != 1 {
			t.Errorf("asked %d times after that", n)
		}
		w.sayFrom(5353, []string{"_http._tcp.local."}, ptr)
		time.Sleep(8 * time.Second)
		if n := len(w.asked("_http._tcp.local.")); n != 1 {
			t.Errorf("asked %d times what another host has asked that knows more", n)
		}

		w.say(whole...)
		for range 3 {
			w.sayFrom(5353, []string{"_http._tcp.local."}, ptr) // it knows
			time.Sleep(time.Second)
		}
		w.sayFrom(5353, []string{"_http._tcp.local."})
		w.say(ptr) // answered
		w.sayFrom(5353, []string{"_http._tcp.local."})
		time.Sleep(15 * time.Second)
		if len(b.Services()) != 1 {
			t.Fatal("what is known or answered became doubtful")
		}
		w.sayFrom(5353, []string{"_http._tcp.local."})
		time.Sleep(10 * time.Second)
		if got := b.Services(); len(got) != 0 {
			t.Errorf("nobody answers for %+v", got)
		}
	})
}

// What an interface has shown is gone with it.
func TestInterfaceGone(t *testing.T) {
	searching(t, func(b *Browser, w *testWire) {
		list := b.wanted()
		time.Sleep(time.Second)
		w.say(whole...)
		ctx, cancel := context.WithCancel(context.Background())
		defer synctest.Wait()
		defer cancel()
		updates := b.Watch(ctx)
		if got := <-updates; len(got) != 1 {
			t.Errorf("services %+v", got)
		}
		b.SetInterfaces(nil)
		synctest.Wait()
		if got := <-updates; len(got) != 0 {
			t.Errorf("services %+v", got)
		}
		w.questions()
		b.SetInterfaces(list)
		time.Sleep(200 * time.Millisecond)
		if n := len(w.asked("_http._tcp.local.")); n != 1 {
			t.Errorf("asked %d times on the interface that came back", n)
		}
	})
}
