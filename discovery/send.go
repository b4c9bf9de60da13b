package discovery

import (
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

const flagsResponse = wire.FlagResponse | wire.FlagAuthoritative // §18

// transmit multicasts the message that was built, and remembers it, so that it
// is known when it comes back.
func (l *link) transmit(now time.Time) {
	b := l.e.out.Bytes()
	l.e.echoes.add(now, b)
	l.sent(l.group.send(b, l.fam.group()))
}

// sent notes whether sending works: routes and firewalls may forbid it.
func (l *link) sent(err error) {
	muted := ""
	if err != nil {
		muted = "sending failed: " + err.Error()
	}
	if muted == l.muted {
		return
	}
	l.muted = muted
	l.e.dirty = true
	if muted != "" {
		l.e.log.Warn("nothing can be sent", "iface", l.ifi.Name, "family", l.fam, "err", err)
	} else {
		l.e.log.Info("sending works again", "iface", l.ifi.Name, "family", l.fam)
	}
}

// multicast sends records to the group, with what their receivers will ask for
// next.
func (l *link) multicast(now time.Time, answers []*record) {
	l.begin(wire.Answer, answers, (*record).told, func() { l.transmit(now) })
	for _, r := range answers {
		r.sent, r.due = now, time.Time{}
	}
	more := slices.DeleteFunc(l.additionals(answers), func(r *record) bool {
		return l.lastSent(r).Add(rateLimit).After(now) // §6 counts these too
	})
	for _, r := range l.add(more, (*record).told) {
		r.sent, r.due = now, time.Time{}
	}
	if !l.e.out.Empty() {
		l.transmit(now)
	}
}

// begin writes records into packets, handing each full one to flush. The last
// one is left in the builder. A record that is too long for a packet gets one
// of its own (§17).
func (l *link) begin(s wire.Section, list []*record, form func(*record) (class uint16, ttl uint32), flush func()) {
	out := &l.e.out
	limit := l.ifi.payload(l.fam)
	out.Reset(0, flagsResponse, limit)
	for _, r := range list {
		class, ttl := form(r)
		if out.Record(s, r.name, r.typ, class, ttl, r.data) {
			continue
		}
		if !out.Empty() {
			flush()
			out.Reset(0, flagsResponse, limit)
			if out.Record(s, r.name, r.typ, class, ttl, r.data) {
				continue
			}
		}
		out.Reset(0, flagsResponse, maxPacket-l.fam.overhead())
		out.Record(s, r.name, r.typ, class, ttl, r.data)
		flush()
		out.Reset(0, flagsResponse, limit)
	}
}
