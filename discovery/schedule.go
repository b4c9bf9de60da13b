package discovery

import (
	"slices"
	"time"
)

// rateLimit is how long a record is not multicast again on one link (§6).
const rateLimit = time.Second

// probeLimit is how long a record is not multicast again, even to defend a name
// (RFC 6762 §6).
const probeLimit = 250 * time.Millisecond

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
	due, ready := now.Add(delay), now.Add(min(delay, minSharedDelay))
	if last := l.lastSent(r); !last.IsZero() {
		due, ready = later(due, last.Add(limit)), later(ready, last.Add(limit))
	}
	if r.due.IsZero() {
		r.ready = ready
	}
	r.due, r.ready = earlier(r.due, due), earlier(r.ready, ready)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
		list = l.withReady(list, now)
		l.e.lists[0] = list
		sortRecords(list)
		l.multicast(now, list)
	}
}

// withReady adds the answers that wait for nothing but their random delay: one
// packet is better than two (§6.4).
func (l *link) withReady(list []*record, now time.Time) []*record {
	for _, set := range l.records {
		for _, r := range set {
			if r.live() && !r.due.IsZero() && !r.ready.After(now) {
				list = l.withSet(list, r, now)
			}
		}
	}
	return list
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
