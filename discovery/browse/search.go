package browse

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/udp"
	"server22.local/appliance/discovery/internal/wire"
)

// Pauses between questions (RFC 6762 §5.2): the first is a second, each is
// twice the one before, up to an hour.
const (
	firstPause = time.Second
	maxPause   = time.Hour
)

// retryOpen is how long to wait where a socket cannot be opened.
const retryOpen = 30 * time.Second

// A socket hears a group on one interface, and sends there.
type socket interface {
	Receive(b []byte) (n int, from netip.AddrPort, err error)
	Send(b []byte, to netip.AddrPort) error
	Close() error
}

type opener func(i discovery.Interface, f family) (socket, error)

func openGroup(i discovery.Interface, f family) (socket, error) {
	c, err := udp.Join(f.group, i.Index)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// A search is a running browser. One goroutine owns all of it; each socket has
// one that only reads.
type search struct {
	b       *Browser
	cache   *cache
	links   map[linkKey]*link
	packets chan packet
	readers sync.WaitGroup

	next  time.Time // when to ask for the type again
	pause time.Duration
	// missed are those records that were asked for and did not come.
	missed map[wanted]*attempt
	reopen time.Time // when to open what could not be opened

	in  wire.Message
	out wire.Builder
}

type linkKey struct {
	index  int
	family string
}

// A link is one interface in one address family.
type link struct {
	ifi    discovery.Interface
	fam    family
	socket socket
	done   chan struct{} // closed when nobody takes its packets any more
}

type packet struct {
	link *link
	from netip.AddrPort
	data []byte
}

// An attempt is how often something was asked for, and when it is again.
type attempt struct {
	next  time.Time
	pause time.Duration
}

func newSearch(b *Browser) *search {
	return &search{
		b: b, cache: newCache(b.cfg.Type, b.name, 0),
		links: make(map[linkKey]*link), packets: make(chan packet),
		missed: make(map[wanted]*attempt),
	}
}

func (s *search) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer s.readers.Wait()
	defer s.close(func(*link) bool { return true })
	s.reconcile(time.Now())
	for {
		next := s.step(time.Now())
		s.b.publish(s.cache.services())
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return
		case <-s.b.wake:
			s.reconcile(time.Now())
		case p := <-s.packets:
			s.receive(time.Now(), p)
		case <-timer.C:
		}
	}
}

// reconcile opens and closes links. On a new one the search begins anew.
func (s *search) reconcile(now time.Time) {
	usable := slices.DeleteFunc(slices.Clone(s.b.wanted()), func(i discovery.Interface) bool { return !i.Usable() || !s.b.cfg.Filter(i) })
	s.close(func(l *link) bool {
		return !slices.ContainsFunc(usable, func(i discovery.Interface) bool { return i.Index == l.ifi.Index && i.Name == l.ifi.Name })
	})
	s.reopen = time.Time{}
	for _, ifi := range usable {
		for _, f := range []family{ipv4Family, ipv6Family} {
			s.open(now, ifi, f)
		}
	}
}

func (s *search) open(now time.Time, ifi discovery.Interface, f family) {
	key := linkKey{ifi.Index, f.network}
	has := slices.ContainsFunc(ifi.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() == f.group.Addr().Is4() })
	if s.links[key] != nil || !has {
		return
	}
	socket, err := s.b.cfg.open(ifi, f)
	if err != nil {
		s.b.cfg.Logger.Warn("services are not looked for", "iface", ifi.Name, "family", f.network, "err", err)
		s.reopen = now.Add(retryOpen)
		return
	}
	l := &link{ifi: ifi, fam: f, socket: socket, done: make(chan struct{})}
	s.links[key] = l
	s.readers.Go(func() { s.read(l) })
	// Hosts that come up together do not ask together (§5.2).
	s.next, s.pause = now.Add(20*time.Millisecond+rand.N(100*time.Millisecond)), firstPause
}

// close closes some links, and forgets what is only known from there.
func (s *search) close(gone func(*link) bool) {
	for key, l := range s.links {
		if gone(l) {
			close(l.done)
			l.socket.Close()
			delete(s.links, key)
			s.cache.forget(l.ifi.Name)
		}
	}
}

// read hands over what a socket receives until it is closed.
func (s *search) read(l *link) {
	buf := make([]byte, maxPacket)
	for failures := 0; failures < 10; {
		n, from, err := l.socket.Receive(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failures++
			continue
		}
		failures = 0
		select {
		case s.packets <- packet{l, from, slices.Clone(buf[:n])}:
		case <-l.done:
			return
		}
	}
}

// receive takes a response into the cache, and learns from the questions of
// others.
func (s *search) receive(now time.Time, p packet) {
	if s.in.Unpack(p.data) != nil || !s.in.Plain() || p.from.Port() != mdnsPort {
		return
	}
	switch {
	case s.in.Response():
		s.cache.enter(now, &s.in, p.link.ifi.Name)
	case !s.isOwn(p.from.Addr()):
		s.overhear(now, p.link)
	}
}

func (s *search) isOwn(addr netip.Addr) bool {
	return slices.ContainsFunc(s.b.wanted(), func(i discovery.Interface) bool {
		return slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr() == addr.Unmap().WithZone("") })
	})
}

// overhear deals with a question of somebody else. The same as ours saves us
// from asking it, if its sender knows nothing that we do not (§7.3); and what
// nobody answers is doubtful (§10.5).
func (s *search) overhear(now time.Time, l *link) {
	for _, q := range s.in.Questions {
		if q.Unicast || q.Class != wire.ClassIN {
			continue
		}
		s.cache.doubt(now, q, &s.in, l.ifi.Name)
		if q.Type == wire.TypePTR && wire.Name(q.Key) == s.cache.name && len(s.links) == 1 && s.knowsAll(l) {
			s.next = now.Add(s.pause)
		}
	}
}

// knowsAll says whether we know each answer that the sender knows.
func (s *search) knowsAll(l *link) bool {
	for i := range s.in.Answers {
		r := &s.in.Answers[i]
		data, err := s.in.Data(r)
		if err != nil || s.cache.find(setKey{wire.Name(r.Key), r.Type}, data, l.ifi.Name) == nil {
			return false
		}
	}
	return true
}

// step does what is due and returns when to come back.
func (s *search) step(now time.Time) time.Time {
	if !s.reopen.IsZero() && !s.reopen.After(now) {
		s.reconcile(now)
	}
	s.cache.expire(now)
	if len(s.links) > 0 && !s.next.After(now) {
		s.askType(now)
		s.next, s.pause = now.Add(s.pause), min(2*s.pause, maxPause)
	}
	for _, w := range s.cache.stale(now) {
		s.ask(w)
	}
	s.askMissing(now)
	return s.due(now)
}

// due is when there is something to do; an hour from now at the latest.
func (s *search) due(now time.Time) time.Time {
	next := earlier(now.Add(maxPause), earlier(s.reopen, s.cache.next()))
	if len(s.links) > 0 {
		next = earlier(next, s.next)
	}
	for _, a := range s.missed {
		next = earlier(next, a.next)
	}
	return next
}

// askMissing asks for what services lack, less and less often.
func (s *search) askMissing(now time.Time) {
	missing := s.cache.missing()
	for w := range s.missed {
		if !slices.Contains(missing, w) {
			delete(s.missed, w)
		}
	}
	for _, w := range missing {
		a := s.missed[w]
		if a == nil {
			a = &attempt{next: now, pause: firstPause}
			s.missed[w] = a
		}
		if !a.next.After(now) {
			s.ask(w)
			a.next, a.pause = now.Add(a.pause), min(2*a.pause, maxPause)
		}
	}
}

// askType asks on each link for the services of the type, with those that are
// known there, in as many packets as that takes (§7.1, §7.2).
func (s *search) askType(now time.Time) {
	for _, l := range s.links {
		s.out.Reset(0, 0, maxQuestion)
		s.out.Question(s.b.name, wire.TypePTR, wire.ClassIN)
		for _, r := range s.cache.known(now, l.ifi.Name) {
			ttl := uint32(r.expires.Sub(now) / time.Second)
			if s.out.Record(wire.Answer, s.b.name, wire.TypePTR, wire.ClassIN, ttl, r.data) {
				continue
			}
			s.out.SetFlags(wire.FlagTruncated)
			s.send(l)
			s.out.Reset(0, 0, maxQuestion)
			s.out.Record(wire.Answer, s.b.name, wire.TypePTR, wire.ClassIN, ttl, r.data)
		}
		s.send(l)
	}
}

// ask asks for one thing on all links.
func (s *search) ask(w wanted) {
	for _, l := range s.links {
		s.out.Reset(0, 0, maxQuestion)
		s.out.Question(w.name, w.typ, wire.ClassIN)
		s.send(l)
	}
}

func (s *search) send(l *link) {
	if err := l.socket.Send(s.out.Bytes(), l.fam.group); err != nil {
		s.b.cfg.Logger.Debug("a question was not sent", "iface", l.ifi.Name, "err", err)
	}
}
