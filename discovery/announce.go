package discovery

import (
	"slices"
	"time"
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
