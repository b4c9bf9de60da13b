package discovery

import (
	"math/rand/v2"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// markKnown calls f with the record of ours that a known answer is, if it has
// at least half of its life before it (§7.1).
func (l *link) markKnown(known *wire.Record, f func(*record)) {
	if r := l.match(known); r != nil && uint64(known.TTL)*2 >= uint64(r.ttl) {
		f(r)
	}
}

// match returns the record of ours that equals a received one.
func (l *link) match(rr *wire.Record) *record {
	set := l.records[wire.Name(rr.Key)]
	if len(set) == 0 || rr.Class != wire.ClassIN {
		return nil
	}
	data, err := l.e.in.Data(rr)
	if err != nil {
		return nil
	}
	for _, r := range set {
		if r.typ == rr.Type && wire.SameData(r.typ, r.data, data) {
			return r
		}
	}
	return nil
}

// isKnown says whether the sender of the query being answered needs not be
// told: of a unique set it must know all, or telling it the rest would make it
// forget what it knows (§10.2).
func (l *link) isKnown(r *record) bool {
	return l.allOf(r, func(o *record) bool { return o.known == l.e.serial })
}

// allOf says whether ok holds for a shared record, or for all of a unique set.
func (l *link) allOf(r *record, ok func(*record) bool) bool {
	if !r.sort.flush() {
		return ok(r)
	}
	all := true
	l.records.set(r, func(o *record) { all = all && ok(o) })
	return all
}

// A deferral is a query whose known answers come in several packets (§7.2).
type deferral struct {
	asker
	link    *link
	due     time.Time
	answers []answer
	known   map[*record]bool
}

// deferDelay is 400 to 500 ms.
func deferDelay() time.Duration {
	return 400*time.Millisecond + rand.N(100*time.Millisecond)
}

// deferAnswers waits for more known answers.
func (l *link) deferAnswers(now time.Time, who asker, answers []answer) {
	d := l.deferred[who.from]
	if d == nil {
		if len(l.deferred) >= maxDeferred {
			return
		}
		d = &deferral{asker: who, link: l, known: make(map[*record]bool)}
		l.deferred[who.from] = d
	}
	d.due = now.Add(deferDelay())
	for _, a := range answers {
		if !slices.ContainsFunc(d.answers, func(o answer) bool { return o.rec == a.rec }) {
			d.answers = append(d.answers, a)
		}
		if a.rec.known == l.e.serial {
			d.known[a.rec] = true
		}
	}
}

// moreKnown takes a packet that only adds known answers to a query that waits,
// and says whether it was one.
func (l *link) moreKnown(now time.Time, who asker) bool {
	m := &l.e.in
	d := l.deferred[who.from]
	if d != nil {
		for i := range m.Answers {
			l.markKnown(&m.Answers[i], func(r *record) { d.known[r] = true })
		}
		if m.Truncated() {
			d.due = now.Add(deferDelay())
		}
	}
	return len(m.Questions) == 0
}

// unknown returns the answers that the querier still needs.
func (d *deferral) unknown() []answer {
	return slices.DeleteFunc(d.answers, func(a answer) bool {
		return !a.rec.live() || d.link.allOf(a.rec, func(o *record) bool { return d.known[o] })
	})
}
