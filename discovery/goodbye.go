package discovery

import (
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// goodbye withdraws everything that was told on the link (§10.1).
func (l *link) goodbye(now time.Time) {
	var list []*record
	for _, set := range l.records {
		for _, r := range set {
			if r.live() && r.withdrawable() {
				list = append(list, r)
			}
		}
	}
	l.sendGoodbye(now, list)
}

func (l *link) sendGoodbye(now time.Time, list []*record) {
	if len(list) == 0 || l.group == nil {
		return
	}
	sortRecords(list)
	l.begin(wire.Answer, list, func(r *record) (uint16, uint32) { return r.class(), 0 }, func() { l.transmit(now) })
	if !l.e.out.Empty() {
		l.transmit(now)
	}
}

// withdrawable says whether a goodbye for the record makes sense: somebody may
// have it, and no other host says the same.
func (r *record) withdrawable() bool {
	return !r.sent.IsZero() && r.sort != advisory && r.sort != negative
}

// withdraw says goodbye for those old records that the link has no more. Those
// of a name that was lost to another host are not live, and may be the new
// owner's too. Where a unique record takes the place of another, its
// announcement does that (§8.4); but an address that was told within the last
// second would survive it, and an address that is wrong does most harm.
func (l *link) withdraw(now time.Time, old zone) {
	var list []*record
	for _, set := range old {
		for _, r := range set {
			if l.records.find(r) == r {
				continue
			}
			l.e.formerly(now, r)
			if r.live() && r.withdrawable() && !l.replaced(r) {
				list = append(list, r)
			}
		}
	}
	l.sendGoodbye(now, list)
	for _, r := range list {
		// Another set is told completely, at once, after its goodbye.
		l.records.set(r, func(o *record) {
			if o.sort == unique {
				o.announce, o.remaining = now, announcements
			}
		})
	}
	l.release(old)
}

func (l *link) replaced(r *record) bool {
	if r.sort != unique || r.typ == wire.TypeA || r.typ == wire.TypeAAAA {
		return false
	}
	found := false
	l.records.set(r, func(*record) { found = true })
	return found
}

// release makes sure that no answer that waits still tells an old record.
func (l *link) release(old zone) {
	for _, set := range old {
		for _, r := range set {
			if l.records.find(r) != r {
				r.claims = nil
			}
		}
	}
}
