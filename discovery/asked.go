package discovery

import (
	"math/rand/v2"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// An answer is a record that a query asked for and how it is to be given.
type answer struct {
	rec       *record
	multicast bool
	unicast   bool
}

// asked deals with a query.
func (l *link) asked(now time.Time, p *packet) {
	m := &l.e.in
	who := asker{from: p.from, socket: p.socket, direct: p.unicast, id: m.ID, onLink: l.ifi.onLink(p.from.Addr())}
	if p.from.Port() != port {
		if !who.onLink {
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
	answers, delay := l.plan(now, who)
	if m.Truncated() && !who.legacy && len(answers) > 0 {
		l.deferAnswers(now, who, answers)
		return
	}
	answers = slices.DeleteFunc(answers, func(a answer) bool { return l.isKnown(a.rec) })
	l.schedule(now, delay, who, answers)
}

// plan finds the records that answer the questions, marks those of them that
// the querier knows, and says how long to wait with them.
func (l *link) plan(now time.Time, who asker) ([]answer, time.Duration) {
	m := &l.e.in
	l.e.serial++
	for i := range m.Answers {
		l.markKnown(&m.Answers[i], func(r *record) { r.known = l.e.serial })
	}
	answers := l.e.answers[:0]
	for _, q := range m.Questions {
		if q.Class == wire.ClassIN || q.Class == wire.ClassANY {
			answers = l.answerQuestion(answers, now, q, who)
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

// minSharedDelay is the least that answers wait which others may have too.
const minSharedDelay = 20 * time.Millisecond

// sharedDelay is 20 to 120 ms, evenly spread.
func sharedDelay() time.Duration {
	return minSharedDelay + rand.N(100*time.Millisecond)
}

// answerQuestion adds what answers one question.
func (l *link) answerQuestion(answers []answer, now time.Time, q wire.Question, who asker) []answer {
	set := l.records[wire.Name(q.Key)]
	found := false
	for _, r := range set {
		if !r.live() {
			continue
		}
		if r.answers(q.Type) {
			answers = l.addAnswer(answers, now, r, q, who)
			found = true
		} else if r.typ == wire.TypeCNAME {
			answers = l.addAnswer(answers, now, r, q, who)
			answers = l.answerTarget(answers, now, r, q, who)
			found = true
		}
	}
	if found {
		return answers
	}
	for _, r := range set {
		if r.sort == negative && r.live() {
			answers = l.addAnswer(answers, now, r, q, who)
		}
	}
	return answers
}

// answerTarget adds what the name that a CNAME points to has.
func (l *link) answerTarget(answers []answer, now time.Time, cname *record, q wire.Question, who asker) []answer {
	for _, r := range l.records[wire.Name(cname.data).Fold()] {
		if r.live() && r.answers(q.Type) {
			answers = l.addAnswer(answers, now, r, q, who)
		}
	}
	return answers
}

// addAnswer decides between multicast and unicast (§5.4, §5.5, §6.7).
func (l *link) addAnswer(answers []answer, now time.Time, r *record, q wire.Question, who asker) []answer {
	if slices.ContainsFunc(answers, func(a answer) bool { return a.rec == r }) {
		return answers
	}
	a := answer{rec: r}
	switch {
	case who.legacy:
		a.unicast = true
	case (q.Unicast || who.direct) && who.onLink:
		// If caches have not heard of the record for a quarter of its life,
		// everybody gets it.
		a.multicast = !l.recent(r, now)
		a.unicast = !a.multicast || who.probe || who.direct
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
