package discovery

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// A fabric is a network in memory: LANs that hosts are plugged into. Packets
// arrive at once, also at their sender, as multicast does.
type fabric struct {
	t testing.TB

	mu      sync.Mutex // guards all following fields
	sockets map[*memSocket]struct{}
	taps    []*tap
	cables  map[string]string // "host/interface" → LAN
	asleep  map[string]chan struct{}
	refuse  error // what opening sockets fails with
	mute    error // what sending fails with
}

type datagram struct {
	data []byte
	from netip.AddrPort
}

// memSocket is one host's socket.
type memSocket struct {
	f      *fabric
	lan    string
	group  bool
	fam    family
	addr   netip.Addr // bound to, or sent from
	inbox  chan datagram
	closed chan struct{}
}

func (s *memSocket) receive(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-s.inbox:
		return copy(b, d.data), d.from, nil
	case <-s.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (s *memSocket) send(b []byte, to netip.AddrPort) error {
	if err := s.f.muted(); err != nil {
		return err
	}
	s.f.deliver(s.lan, netip.AddrPortFrom(s.addr, port), to, b)
	return nil
}

func (s *memSocket) Close() error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	delete(s.f.sockets, s)
	close(s.closed)
	return nil
}

func (f *fabric) muted() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mute
}

// deliver hands a packet to everybody on the LAN that it is for.
func (f *fabric) deliver(lan string, from, to netip.AddrPort, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b = slices.Clone(b)
	f.toSockets(lan, from, to, b)
	for _, p := range f.taps {
		if p.lan == lan {
			p.take(from, to, b)
		}
	}
}

func (f *fabric) toSockets(lan string, from, to netip.AddrPort, b []byte) {
	for s := range f.sockets {
		mine := s.group && to == s.fam.group() || !s.group && to.Addr() == s.addr && to.Port() == port
		if s.lan == lan && mine {
			select {
			case s.inbox <- datagram{b, from}:
			default: // a full buffer drops, as the kernel's does
			}
		}
	}
}

// memPlatform is a host's view of the fabric.
type memPlatform struct {
	f    *fabric
	host string
}

func (p memPlatform) open(i Interface, fam family, group bool, addr netip.Addr) (socket, error) {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.f.refuse != nil {
		return nil, p.f.refuse
	}
	s := &memSocket{
		f: p.f, lan: p.f.cables[p.host+"/"+i.Name], group: group, fam: fam, addr: addr,
		inbox: make(chan datagram, 1024), closed: make(chan struct{}),
	}
	p.f.sockets[s] = struct{}{}
	return s, nil
}

func (p memPlatform) multicast(i Interface, fam family) (socket, error) {
	for _, prefix := range i.Addresses {
		if fam.of(prefix.Addr()) {
			return p.open(i, fam, true, prefix.Addr())
		}
	}
	return p.open(i, fam, true, netip.Addr{})
}

func (p memPlatform) unicast(i Interface, addr netip.Addr) (socket, error) {
	fam := ipv6
	if addr.Is4() {
		fam = ipv4
	}
	return p.open(i, fam, false, addr)
}

func (p memPlatform) watchSleep(*slog.Logger) (<-chan struct{}, func()) {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	ch := make(chan struct{}, 1)
	p.f.asleep[p.host] = ch
	return ch, func() {}
}

// A lab is a fabric with responders in it, inside a synctest bubble.
type lab struct {
	*fabric
	t        testing.TB
	machines []*machine
}

func (l *lab) stop() {
	for _, m := range l.machines {
		m.stop()
	}
}

// inLab runs a test with a network of its own, in time of its own.
func inLab(t *testing.T, f func(l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer l.stop()
		f(l)
	})
}

func newLab(t testing.TB) *lab {
	return &lab{t: t, fabric: &fabric{
		t: t, sockets: make(map[*memSocket]struct{}),
		cables: make(map[string]string), asleep: make(map[string]chan struct{}),
	}}
}

// eth makes an interface plugged into "lan".
func eth(index int, name string, prefixes ...string) Interface {
	i := Interface{Index: index, Name: name, Flags: net.FlagUp | net.FlagRunning | net.FlagMulticast | net.FlagBroadcast}
	for _, p := range prefixes {
		i.Addresses = append(i.Addresses, netip.MustParsePrefix(p))
	}
	return i
}

// eth0 is the interface of most tests.
func eth0() Interface { return eth(2, "eth0", "192.168.7.2/24", "fe80::2/64") }

// A machine is a running responder.
type machine struct {
	*Responder
	stop func() // says goodbye and waits for the end
}

// run starts a responder called host, with its interfaces plugged into "lan"
// unless the cables say otherwise.
func (l *lab) run(host string, cfg Config) *machine {
	l.t.Helper()
	if cfg.Name == "" {
		cfg.Name = host
	}
	if cfg.Interfaces == nil {
		cfg.Interfaces = []Interface{eth0()}
	}
	l.plug(host, cfg.Interfaces...)
	cfg.platform = memPlatform{l.fabric, host}
	r, err := New(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			l.t.Error(err)
		}
	}()
	m := &machine{Responder: r, stop: func() { cancel(); <-done }}
	l.machines = append(l.machines, m)
	return m
}

// plug connects interfaces to "lan", unless they are plugged in already.
func (l *lab) plug(host string, interfaces ...Interface) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range interfaces {
		if l.cables[host+"/"+i.Name] == "" {
			l.cables[host+"/"+i.Name] = "lan"
		}
	}
}

// A tap is a station on a LAN that hears everything and says anything. It
// decodes what it hears with miekg/dns, which knows nothing of our codec.
type tap struct {
	f    *fabric
	lan  string
	addr netip.Addr

	mu        sync.Mutex // guards all following fields
	heard     []*sighting
	listeners []chan *sighting
}

// listen calls f for each packet that is heard until stop is called. f may
// send.
func (p *tap) listen(f func(*sighting)) (stop func()) {
	ch := make(chan *sighting, 1024)
	quit, done := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	p.listeners = append(p.listeners, ch)
	p.mu.Unlock()
	go func() {
		defer close(done)
		for {
			select {
			case s := <-ch:
				f(s)
			case <-quit:
				return
			}
		}
	}()
	return func() {
		p.mu.Lock()
		p.listeners = slices.DeleteFunc(p.listeners, func(c chan *sighting) bool { return c == ch })
		p.mu.Unlock()
		close(quit)
		<-done
	}
}

// A sighting is a packet that was on the LAN.
type sighting struct {
	at       time.Time
	from, to netip.AddrPort
	msg      *dns.Msg
	size     int
	raw      []byte
}

func (l *lab) tap(lan, addr string) *tap {
	p := &tap{f: l.fabric, lan: lan, addr: netip.MustParseAddr(addr)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taps = append(l.taps, p)
	return p
}

// lanTap is a tap at 192.168.7.99 of "lan".
func (l *lab) lanTap() *tap { return l.tap("lan", "192.168.7.99") }

func (p *tap) take(from, to netip.AddrPort, b []byte) {
	if from.Addr() == p.addr || from.Addr().Is4() != p.addr.Is4() {
		return // its own, or of the other family
	}
	msg := new(dns.Msg)
	if err := msg.Unpack(b); err != nil {
		p.f.t.Errorf("a packet from %v that miekg/dns cannot read: %v\n%x", from, err, b)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &sighting{time.Now(), from, to, msg, len(b), b}
	p.heard = append(p.heard, s)
	for _, ch := range p.listeners {
		ch <- s
	}
}

// sendRaw sends bytes from a port of the tap.
func (p *tap) sendRaw(from, to netip.AddrPort, b []byte) { p.f.deliver(p.lan, from, to, b) }

// send multicasts a message from port 5353.
func (p *tap) send(msg *dns.Msg) {
	fam := ipv6
	if p.addr.Is4() {
		fam = ipv4
	}
	p.sendTo(fam.group(), port, msg)
}

func (p *tap) sendTo(to netip.AddrPort, fromPort uint16, msg *dns.Msg) {
	b, err := msg.Pack()
	if err != nil {
		p.f.t.Fatal(err)
	}
	p.sendRaw(netip.AddrPortFrom(p.addr, fromPort), to, b)
}

// clear forgets what was heard.
func (p *tap) clear() {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = nil
}

// all returns what was heard so far.
func (p *tap) all() []*sighting {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heard)
}

// responses returns the answers heard so far.
func (p *tap) responses() []*sighting {
	return slices.DeleteFunc(p.all(), func(s *sighting) bool { return !s.msg.Response })
}

// probes returns the probes heard so far.
func (p *tap) probes() []*sighting {
	return slices.DeleteFunc(p.all(), func(s *sighting) bool { return s.msg.Response || len(s.msg.Ns) == 0 })
}

// await lets time pass until a response is heard, or a limit.
func (p *tap) await(limit time.Duration) *sighting {
	p.f.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		if r := p.responses(); len(r) > 0 {
			return r[0]
		}
		if !time.Now().Before(deadline) {
			p.f.t.Fatalf("no response within %v", limit)
		}
		time.Sleep(time.Millisecond)
	}
}

// silence lets time pass and fails if a response is heard.
func (p *tap) silence(d time.Duration) {
	p.f.t.Helper()
	time.Sleep(d)
	for _, s := range p.responses() {
		p.f.t.Errorf("a response where none should be: to %v after all\n%v", s.to, s.msg)
	}
}

// query makes a question as a multicast DNS querier does.
func query(name string, typ uint16) *dns.Msg {
	m := new(dns.Msg)
	m.Question = []dns.Question{{Name: name, Qtype: typ, Qclass: dns.ClassINET}}
	return m
}

// response makes an answer as a responder does.
func response(records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.Response, m.Authoritative = true, true
	for _, r := range records {
		m.Answer = append(m.Answer, rr(r))
	}
	return m
}

// rr reads a record in text form; "flush" as class means IN with that bit.
func rr(text string) dns.RR {
	r, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return r
}

// settle lets a responder probe and announce, and be silent long enough that
// no rate limit is left.
func settle() { time.Sleep(10 * time.Second) }

// find returns the records of a type in a section.
func find(section []dns.RR, name string, typ uint16) []dns.RR {
	var found []dns.RR
	for _, r := range section {
		h := r.Header()
		if h.Rrtype == typ && (name == "" || dns.CanonicalName(h.Name) == dns.CanonicalName(name)) {
			found = append(found, r)
		}
	}
	return found
}
