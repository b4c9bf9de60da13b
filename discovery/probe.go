package discovery

import (
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

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

// probe asks whether anybody has the names, and proposes our records for them
// (RFC 6762 §8.1, §8.2).
func (l *link) probe(now time.Time, claims []*claim) {
	for len(claims) > 0 {
		n := l.probePacket(claims)
		l.transmit(now)
		for _, c := range claims[:n] {
			c.probed(now)
		}
		claims = claims[n:]
	}
	l.e.dirty = true
}

// probePacket builds a packet for as many of the names as fit, one at least,
// and returns how many. All of a name's records are in the packet that asks
// for it, or its tie-break would be decided by half of them.
func (l *link) probePacket(claims []*claim) int {
	for n := len(claims); ; n = (n + 1) / 2 {
		limit := l.ifi.payload(l.fam)
		if n == 1 {
			limit = maxPacket
		}
		if l.buildProbe(claims[:n], limit) {
			return n
		}
		if n == 1 {
			return n // what fits of it
		}
	}
}

func (l *link) buildProbe(claims []*claim, limit int) bool {
	out := &l.e.out
	out.Reset(0, 0, limit)
	for _, c := range claims {
		if !out.Question(c.name, wire.TypeANY, l.probeClass(c)) {
			return false
		}
	}
	for _, c := range claims {
		for _, r := range l.proposed(c) {
			if !out.Record(wire.Authority, r.name, r.typ, wire.ClassIN, r.ttl, r.data) {
				return false
			}
		}
	}
	return true
}

// probeClass asks for unicast answers in the first two probes; the third is
// for defenders who do not do that, or whose answers go to another program.
func (l *link) probeClass(c *claim) uint16 {
	if l.e.want.multicastOnly || c.sent == probes-1 {
		return wire.ClassIN
	}
	return classQU
}

// proposed returns the records that a claim is probed with.
func (l *link) proposed(c *claim) []*record {
	var list []*record
	for _, r := range l.records[c.key] {
		if r.sort == unique {
			list = append(list, r)
		}
	}
	return list
}

// contest breaks ties with another host that probes for a name that is being
// probed for here (§8.2).
func (l *link) contest(now time.Time, p *packet) {
	m := &l.e.in
	for _, q := range m.Questions {
		c := l.claims[wire.Name(q.Key)]
		if c == nil || c.phase == Held {
			continue
		}
		theirs := l.proposals(q.Key)
		if len(theirs) == 0 || l.e.sameHost(p.from.Addr()) {
			continue
		}
		var ours []proposal
		for _, r := range l.proposed(c) {
			ours = append(ours, proposal{wire.ClassIN, r.typ, r.data})
		}
		if tieBreak(ours, theirs) < 0 {
			l.lose(now, c, p.from.Addr())
		}
	}
}

// proposals returns the records that the message proposes for a name.
func (l *link) proposals(key []byte) []proposal {
	m := &l.e.in
	var list []proposal
	for i := range m.Authorities {
		rr := &m.Authorities[i]
		if string(rr.Key) != string(key) {
			continue
		}
		if data, err := m.Data(rr); err == nil {
			list = append(list, proposal{rr.Class, rr.Type, data})
		}
	}
	return list
}

// lose gives the winner of a tie-break the time to take the name. If it is
// still there then, it defends it.
func (l *link) lose(now time.Time, c *claim, rival netip.Addr) {
	c.losses++
	l.e.log.Debug("another host probes for our name", "iface", l.ifi.Name, "name", c.name.String(), "rival", rival)
	if c.losses > maxLosses {
		l.e.conflict(now, l, c, rival)
		return
	}
	next := c.next
	c.start(now, tieWait)
	if next.After(c.next) {
		c.next = next // it was backing off
	}
	l.e.dirty = true
}
