package discovery

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

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
	problem   string // of the sockets
	muted     string // why the last packet could not be sent

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
	s := LinkState{Interface: l.ifi.Name, Index: l.ifi.Index, Family: l.fam.String(), Problem: cmp.Or(l.problem, l.muted)}
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
		if !l.takesUnicast(addr) || !slices.ContainsFunc(l.ifi.Addresses, func(p netip.Prefix) bool { return p.Addr() == addr }) {
			s.Close()
			delete(l.addresses, addr)
		}
	}
	l.report(now, err)
}

// takesUnicast says whether what is sent to the address is ours to answer.
func (l *link) takesUnicast(addr netip.Addr) bool {
	return !l.e.want.multicastOnly && l.fam.of(addr)
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
		l.read(&packet{link: l, socket: s})
		delay := startDelay()
		for _, c := range l.claims {
			c.start(now, delay+c.id.penalty(now))
		}
	}
	var failed error
	for _, p := range l.ifi.Addresses {
		addr := p.Addr()
		if !l.takesUnicast(addr) || l.addresses[addr] != nil {
			continue
		}
		s, err := l.e.cfg.platform.unicast(l.ifi, addr)
		if err != nil {
			failed = err
			continue
		}
		l.addresses[addr] = s
		l.read(&packet{link: l, socket: s, unicast: true})
	}
	return failed
}

// read begins to hand over what a socket receives.
func (l *link) read(p *packet) {
	iface := l.ifi.Name
	l.e.readers.Go(func() { l.e.read(p, iface) })
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
