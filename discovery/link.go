package discovery

import (
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// Announcing (RFC 6762 §8.3): two times, a second apart, are what has to be;
// clients that miss both ask.
const (
	announcements    = 2
	announceInterval = time.Second
)

// setGrace is for how long after a record was told another of its set may be
// told alone: caches forgive a second (§10.2), of which packets may lose some.
const setGrace = 800 * time.Millisecond

// rateLimit is how long a record is not multicast again on one link (§6).
const rateLimit = time.Second

// Sockets that cannot be opened are tried again, less and less often.
const (
	minReopen = time.Second
	maxReopen = 30 * time.Second
)

// A link is one interface in one address family: what is multicast there is
// heard by everybody there, and by nobody else.
type link struct {
	e   *engine
	ifi Interface
	fam family

	group     socket // nil while it cannot be opened
	addresses map[netip.Addr]socket
	retry     time.Time // when to open what is missing
	backOff   time.Duration
	problem   string

	claims   map[wire.Name]*claim
	records  zone
	replies  []*reply
	deferred map[netip.AddrPort]*deferral
}

func newLink(e *engine, ifi Interface, fam family) *link {
	return &link{
		e: e, ifi: ifi, fam: fam,
		addresses: make(map[netip.Addr]socket),
		deferred:  make(map[netip.AddrPort]*deferral),
	}
}

func (l *link) key() linkKey { return linkKey{l.ifi.Index, l.ifi.Name, l.fam} }

func (l *link) state() LinkState {
	s := LinkState{Interface: l.ifi.Name, Index: l.ifi.Index, Family: l.fam.String(), Problem: l.problem}
	for _, p := range l.ifi.Addresses {
		if l.fam.of(p.Addr()) {
			s.Addresses = append(s.Addresses, p.Addr())
		}
	}
	return s
}

// stepSockets opens the sockets that the link should have, and closes those of
// addresses that are gone.
func (l *link) stepSockets(now time.Time) {
	if !isDue(l.retry, now) {
		return
	}
	l.retry = time.Time{}
	err := l.open(now)
	for addr, s := range l.addresses {
		if !slices.ContainsFunc(l.ifi.Addresses, func(p netip.Prefix) bool { return p.Addr() == addr }) {
			s.Close()
			delete(l.addresses, addr)
		}
	}
	l.report(now, err)
}

// open opens what is missing. Without the group's socket nothing works;
// without those of addresses, unicast may go to others on this host.
func (l *link) open(now time.Time) error {
	if l.group == nil {
		s, err := l.e.cfg.platform.multicast(l.ifi, l.fam)
		if err != nil {
			return err
		}
		l.group = s
		l.e.readers.Go(func() { l.e.read(l, s, false) })
		delay := startDelay()
		for _, c := range l.claims {
			c.start(now, delay+c.id.penalty(now))
		}
	}
	if l.e.cfg.MulticastOnly {
		return nil
	}
	var failed error
	for _, p := range l.ifi.Addresses {
		addr := p.Addr()
		if !l.fam.of(addr) || l.addresses[addr] != nil {
			continue
		}
		s, err := l.e.cfg.platform.unicast(l.ifi, addr)
		if err != nil {
			failed = err
			continue
		}
		l.addresses[addr] = s
		l.e.readers.Go(func() { l.e.read(l, s, true) })
	}
	return failed
}

// report notes how opening went.
func (l *link) report(now time.Time, err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
		l.backOff = min(max(2*l.backOff, minReopen), maxReopen)
		l.retry = now.Add(l.backOff)
	} else {
		l.backOff = 0
	}
	if problem == l.problem {
		return
	}
	l.problem = problem
	l.e.dirty = true
	if problem != "" {
		l.e.log.Warn("the link has a problem", "iface", l.ifi.Name, "family", l.fam, "err", err)
	} else {
		l.e.log.Info("the link works", "iface", l.ifi.Name, "family", l.fam)
	}
}

func (l *link) close() {
	if l.group != nil {
		l.group.Close()
	}
	for _, s := range l.addresses {
		s.Close()
	}
}

// next returns when the link has to be looked at again, or zero.
func (l *link) next() time.Time {
	next := l.retry
	if l.group == nil {
		return next
	}
	for _, c := range l.claims {
		next = earlier(next, c.next)
	}
	for _, set := range l.records {
		for _, r := range set {
			next = earlier(earlier(next, r.due), r.announce)
		}
	}
	for _, r := range l.replies {
		next = earlier(next, r.due)
	}
	for _, d := range l.deferred {
		next = earlier(next, d.due)
	}
	return next
}

// stepClaims probes for names, and takes those that nobody defended.
func (l *link) stepClaims(now time.Time) {
	if l.group == nil {
		return
	}
	var due []*claim
	for _, c := range l.claims {
		if !isDue(c.next, now) {
			continue
		}
		if c.sent < probes {
			due = append(due, c)
			continue
		}
		l.hold(c, now)
	}
	if len(due) > 0 {
		slices.SortFunc(due, func(a, b *claim) int { return compareNames(a.key, b.key) })
		l.probe(now, due)
	}
}

func compareNames(a, b wire.Name) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	if a < b {
		return -1
	}
	return 1
}

// hold takes a name.
func (l *link) hold(c *claim, now time.Time) {
	c.hold()
	l.e.dirty = true
	if c.trial {
		return // until it is won everywhere
	}
	l.e.log.Info("name is ours", "iface", l.ifi.Name, "family", l.fam, "name", c.name.String())
	l.announce(c, now)
	l.e.save(c.id)
}

// announce lets all records of a name be announced from the beginning.
func (l *link) announce(c *claim, now time.Time) {
	for _, set := range l.records {
		for _, r := range set {
			if r.sort != negative && slices.Contains(r.claims, c) {
				r.announce, r.remaining = now, announcements
			}
		}
	}
}

// announceNew announces records that have never been sent although their name
// is held: those of new addresses, of a changed port (§8.4).
func (l *link) announceNew(now time.Time) {
	for _, set := range l.records {
		for _, r := range set {
			if r.sort != negative && r.live() && r.sent.IsZero() && r.announce.IsZero() {
				r.announce, r.remaining = now, announcements
			}
		}
	}
}

// stepAnswers sends what is due.
func (l *link) stepAnswers(now time.Time) {
	if l.group == nil {
		return
	}
	for from, d := range l.deferred {
		if isDue(d.due, now) {
			delete(l.deferred, from)
			l.schedule(now, 0, d.asker, d.unknown())
		}
	}
	l.stepMulticast(now)
	l.stepReplies(now)
}

// stepMulticast sends answers and announcements together.
func (l *link) stepMulticast(now time.Time) {
	list := l.e.lists[0][:0]
	for _, set := range l.records {
		for _, r := range set {
			if !r.live() {
				r.due, r.announce = time.Time{}, time.Time{}
				continue
			}
			if l.takeDue(r, now) {
				list = l.withSet(list, r, now)
			}
		}
	}
	l.e.lists[0] = list
	if len(list) > 0 {
		sortRecords(list)
		l.multicast(now, list)
	}
}

// takeDue says whether the record is to be sent now, and moves its next
// announcement on. An announcement waits until the record may be sent again.
func (l *link) takeDue(r *record, now time.Time) bool {
	due := isDue(r.due, now)
	if isDue(r.announce, now) {
		if earliest := l.announceable(r, now); earliest.After(now) && !due {
			r.announce = earliest
			return false
		}
		due = true
		r.remaining--
		r.announce = time.Time{}
		if r.remaining > 0 {
			r.announce = now.Add(announceInterval)
		}
	}
	return due
}

// announceable is when the record may be announced: together with the rest of
// its set, or at once if that has been told just now.
func (l *link) announceable(r *record, now time.Time) time.Time {
	earliest := r.sent.Add(rateLimit)
	if r.sort.flush() {
		l.records.set(r, func(o *record) {
			if age := now.Sub(o.sent); age >= setGrace && age < rateLimit {
				earliest = o.sent.Add(rateLimit)
			}
		})
	}
	return earliest
}

// withSet adds a record to a list; a unique one with all others of its set,
// since together they are told to be complete (§10.2).
func (l *link) withSet(list []*record, r *record, now time.Time) []*record {
	if !r.sort.flush() {
		return appendNew(list, r)
	}
	l.records.set(r, func(o *record) {
		if o == r || now.Sub(o.sent) >= setGrace {
			list = appendNew(list, o)
		}
	})
	return list
}

func appendNew(list []*record, r *record) []*record {
	if slices.Contains(list, r) {
		return list
	}
	return append(list, r)
}

// lastSent is when the record, or one of its set, was last multicast.
func (l *link) lastSent(r *record) time.Time {
	last := r.sent
	if r.sort.flush() {
		l.records.set(r, func(o *record) {
			if o.sent.After(last) {
				last = o.sent
			}
		})
	}
	return last
}

// sortRecords gives packets one order: pointers before what they point to, and
// the records of a set as they were configured.
func sortRecords(list []*record) {
	slices.SortStableFunc(list, func(a, b *record) int {
		if d := int(b.sort) - int(a.sort); d != 0 {
			return d
		}
		if a.key != b.key {
			return compareNames(a.key, b.key)
		}
		return int(a.typ) - int(b.typ)
	})
}
