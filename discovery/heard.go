package discovery

import (
	"net/netip"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// heard deals with a response of another host.
func (l *link) heard(now time.Time, p *packet) {
	if p.from.Port() != port || p.unicast && !l.expecting() {
		return // §6, §11
	}
	m := &l.e.in
	for i := range m.Answers {
		l.heardRecord(now, p, &m.Answers[i])
	}
	for i := range m.Additionals {
		l.heardRecord(now, p, &m.Additionals[i])
	}
}

// expecting says whether a probe was sent to which the answer may come by
// unicast: others are not listened to (§11). Probing takes less than the two
// seconds that are allowed there.
func (l *link) expecting() bool {
	for _, c := range l.claims {
		if c.phase == Probing {
			return true
		}
	}
	return false
}

// heardRecord compares a record of another host with ours.
func (l *link) heardRecord(now time.Time, p *packet, rr *wire.Record) {
	if rr.Class != wire.ClassIN || rr.Type == wire.TypeNSEC {
		return
	}
	if rr.TTL == 0 {
		l.e.rivalLeft(now, rr.Key)
	}
	if r := l.match(rr); r != nil {
		l.heardOurs(now, p, r, rr.TTL)
		return
	}
	c := l.claims[wire.Name(rr.Key)]
	if c == nil || rr.TTL == 0 || !l.contradicts(c, rr.Type) {
		return
	}
	data, err := l.e.in.Data(rr)
	if err != nil || l.e.isOurs(now, p, rr, data) {
		return // what is damaged claims nothing
	}
	l.e.conflict(now, l, c, p.from.Addr())
}

// heardOurs deals with one of our records told by somebody else: another
// interface of this host, a proxy, or an attacker.
func (l *link) heardOurs(now time.Time, p *packet, r *record, ttl uint32) {
	if !r.live() || p.unicast {
		return
	}
	if uint64(ttl)*2 < uint64(r.ttl) {
		// Caches will forget it too soon; tell it again (§6.6, §10.1).
		l.rescue(now, r)
		return
	}
	if ttl >= r.ttl {
		r.due = time.Time{} // who asked has it now (§7.4)
	}
}

func (l *link) rescue(now time.Time, r *record) {
	due := now.Add(sharedDelay())
	if earliest := l.lastSent(r).Add(rateLimit); earliest.After(due) {
		due = earliest
	}
	if r.due.IsZero() {
		r.ready = due
	}
	r.due = earlier(r.due, due)
}

// contradicts says whether somebody else's record of that type takes the name
// away. While it is being probed for, any record does (§8.1); later, only one
// that makes a set of ours untrue (§9), and an address of either family does.
func (l *link) contradicts(c *claim, typ uint16) bool {
	if c.phase != Held {
		return true
	}
	for _, r := range l.records[c.key] {
		if r.sort == unique && (r.typ == typ || isAddress(r.typ) && isAddress(typ)) {
			return true
		}
	}
	return false
}

// isAddress counts CNAME in, which stands for addresses.
func isAddress(typ uint16) bool {
	return typ == wire.TypeA || typ == wire.TypeAAAA || typ == wire.TypeCNAME
}

// isOurs says whether the record is, or was until now, told by this host on
// any interface: two of them may be in one network (§14, §15), and packets may
// be late or reflected.
func (e *engine) isOurs(now time.Time, p *packet, rr *wire.Record, data []byte) bool {
	if isAddress(rr.Type) && e.sameHost(p.from.Addr()) {
		return true // another responder on this host, with other addresses of it
	}
	for _, l := range e.links {
		if l.match(rr) != nil {
			return true
		}
	}
	return e.wasOurs(now, rr, data)
}

// sameHost says whether addr is one of this host's.
func (e *engine) sameHost(addr netip.Addr) bool {
	addr = addr.WithZone("")
	for _, ifi := range e.want.interfaces {
		for _, p := range ifi.Addresses {
			if p.Addr() == addr {
				return true
			}
		}
	}
	return false
}
