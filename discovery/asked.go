package discovery

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// What strangers can make the responder keep, per link.
const (
	maxReplies  = 64
	maxDeferred = 64
)

// probeLimit is how long a record is not multicast again, even to defend a name
// (RFC 6762 §6).
const probeLimit = 250 * time.Millisecond

// An answer is a record that a query asked for and how it is to be given.
type answer struct {
	rec       *record
	multicast bool
	unicast   bool
}

// asked deals with a query.
func (l *link) asked(now time.Time, p *packet) {
	m := &l.e.in
	who := asker{from: p.from, socket: p.socket, unicast: p.unicast, id: m.ID}
	onLink := l.ifi.onLink(p.from.Addr())
	if p.from.Port() != port {
		if !onLink {
			return // an answer would leave the link
		}
		who.setLegacy(m)
	}
	who.probe = !who.legacy && len(m.Authorities) > 0
	if who.probe {
		l.contest(now, p)
	}
	if !who.legacy && l.moreKnown(now, who) {
		return
	}
	answers, delay := l.plan(now, who, onLink)
	if m.Truncated() && !who.legacy && len(answers) > 0 {
		l.deferAnswers(now, who, answers)
		return
	}
	answers = slices.DeleteFunc(answers, func(a answer) bool { return l.isKnown(a.rec) })
	l.schedule(now, delay, who, answers)
}

// plan finds the records that answer the questions, marks those of them that
// the querier knows, and says how long to wait with them.
func (l *link) plan(now time.Time, who asker, onLink bool) ([]answer, time.Duration) {
	m := &l.e.in
	l.e.serial++
	for i := range m.Answers {
		l.markKnown(&m.Answers[i], func(r *record) { r.known = l.e.serial })
	}
	answers := l.e.answers[:0]
	for _, q := range m.Questions {
		if q.Class == wire.ClassIN || q.Class == wire.ClassANY {
			answers = l.answerQuestion(answers, now, q, who, onLink)
		}
	}
	l.e.answers = answers
	return answers, answerDelay(who, len(m.Questions), answers)
}

// answerDelay follows §6: nobody else answers for unique records, so that they
// need no delay; others may have shared ones, or answers to the other
// questions (§6.3); names are defended at once.
func answerDelay(who asker, questions int, answers []answer) time.Duration {
	others := slices.ContainsFunc(answers, func(a answer) bool { return !a.rec.sort.flush() })
	if who.legacy || who.probe || questions == 1 && !others {
		return 0
	}
	return sharedDelay()
}

// sharedDelay is 20 to 120 ms, evenly spread.
func sharedDelay() time.Duration {
	return 20*time.Millisecond + rand.N(100*time.Millisecond)
}

// answerQuestion adds what answers one question.
func (l *link) answerQuestion(answers []answer, now time.Time, q wire.Question, who asker, onLink bool) []answer {
	set := l.records[wire.Name(q.Key)]
	found := false
	for _, r := range set {
		if !r.live() {
			continue
		}
		if r.answers(q.Type) {
			answers = l.addAnswer(answers, now, r, q.Unicast, who, onLink)
			found = true
		} else if r.typ == wire.TypeCNAME {
			answers = l.addAnswer(answers, now, r, q.Unicast, who, onLink)
			answers = l.answerTarget(answers, now, r, q, who, onLink)
			found = true
		}
	}
	if found {
		return answers
	}
	for _, r := range set {
		if r.sort == negative && r.live() {
			answers = l.addAnswer(answers, now, r, q.Unicast, who, onLink)
		}
	}
	return answers
}

// answerTarget adds what the name that a CNAME points to has.
func (l *link) answerTarget(answers []answer, now time.Time, cname *record, q wire.Question, who asker, onLink bool) []answer {
	for _, r := range l.records[wire.Name(cname.data).Fold()] {
		if r.live() && r.answers(q.Type) {
			answers = l.addAnswer(answers, now, r, q.Unicast, who, onLink)
		}
	}
	return answers
}

// addAnswer decides between multicast and unicast (§5.4, §5.5, §6.7).
func (l *link) addAnswer(answers []answer, now time.Time, r *record, qu bool, who asker, onLink bool) []answer {
	if slices.ContainsFunc(answers, func(a answer) bool { return a.rec == r }) {
		return answers
	}
	a := answer{rec: r}
	switch {
	case who.legacy:
		a.unicast = true
	case (qu || who.unicast) && onLink:
		// If caches have not heard of the record for a quarter of its life,
		// everybody gets it.
		a.multicast = !l.recent(r, now)
		a.unicast = !a.multicast || who.probe || who.unicast
	default:
		a.multicast = true
	}
	return append(answers, a)
}

// recent says whether the record was multicast within a quarter of its TTL.
func (l *link) recent(r *record, now time.Time) bool {
	if r.sent.IsZero() {
		return false
	}
	return now.Sub(r.sent) < time.Duration(r.ttl)*time.Second/4
}

// schedule lets answers be sent after a delay, or as soon as they may.
func (l *link) schedule(now time.Time, delay time.Duration, who asker, answers []answer) {
	var unicast []*record
	for _, a := range answers {
		if a.multicast {
			l.scheduleMulticast(now, delay, who, a.rec)
		}
		if a.unicast {
			unicast = append(unicast, a.rec)
		}
	}
	if len(unicast) == 0 {
		return
	}
	if delay <= 0 {
		l.reply(who, unicast)
		return
	}
	if len(l.replies) < maxReplies {
		l.replies = append(l.replies, &reply{asker: who, due: now.Add(delay), records: unicast})
	}
}

// scheduleMulticast notes when the record answers. Whoever asks within a
// second of the last answer gets the next one when that second is over.
func (l *link) scheduleMulticast(now time.Time, delay time.Duration, who asker, r *record) {
	limit := rateLimit
	if who.probe {
		limit = probeLimit
	}
	due := now.Add(delay)
	if last := l.lastSent(r); !last.IsZero() && last.Add(limit).After(due) {
		due = last.Add(limit)
	}
	r.due = earlier(r.due, due)
}

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
