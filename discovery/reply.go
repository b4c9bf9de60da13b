package discovery

import (
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

// legacyLimit is the size that resolvers take, unless they say more (RFC 6891).
const legacyLimit = 512

// An asker is who sent a query, and how it is answered by unicast.
type asker struct {
	from   netip.AddrPort
	socket socket
	id     uint16 // of the query, for unicast answers (RFC 6762 §18.1)
	onLink bool   // a unicast answer stays on the link (§11)
	direct bool   // the query was sent to an address of ours (§5.5)
	legacy bool   // it comes from a resolver of unicast DNS (§6.7)
	probe  bool   // it probes for a name (§8.1)

	// Of legacy queries:
	limit     int
	questions []question
}

type question struct {
	name       wire.Name
	typ, class uint16
}

func (a *asker) setLegacy(m *wire.Message) {
	a.legacy = true
	a.limit = legacyLimit
	for _, r := range m.Additionals {
		if r.Type == wire.TypeOPT {
			a.limit = max(a.limit, int(r.UDPSize()))
		}
	}
	for _, q := range m.Questions {
		a.questions = append(a.questions, question{wire.Name(q.Name), q.Type, q.Class})
	}
}

// A reply is an answer by unicast.
type reply struct {
	asker
	due     time.Time
	records []*record
}

// stepReplies sends the unicast answers that are due.
func (l *link) stepReplies(now time.Time) {
	l.replies = slices.DeleteFunc(l.replies, func(r *reply) bool {
		if !isDue(r.due, now) {
			return false
		}
		l.reply(r.asker, r.records)
		return true
	})
}

// reply sends records to one host.
func (l *link) reply(to asker, records []*record) {
	list := l.e.lists[2][:0]
	for _, r := range records {
		if r.live() {
			list = appendNew(list, r)
		}
	}
	l.e.lists[2] = list
	if len(list) == 0 {
		return
	}
	if to.legacy {
		l.replyLegacy(to, list)
		return
	}
	send := func() {
		l.e.out.SetID(to.id)
		l.sendTo(to)
	}
	l.begin(wire.Answer, list, (*record).told, send)
	l.add(l.additionals(list), (*record).told)
	send()
}

// replyLegacy answers a resolver of unicast DNS in its own manner: with its id
// and question, short TTLs, no cache-flush bit, and within the size that it
// can take (§6.7).
func (l *link) replyLegacy(to asker, list []*record) {
	out := &l.e.out
	out.Reset(to.id, flagsResponse, min(to.limit, l.ifi.payload(l.fam)))
	out.Legacy()
	for _, q := range to.questions {
		out.Question(q.name, q.typ, q.class)
	}
	complete := true
	for _, r := range list {
		complete = out.Record(wire.Answer, r.name, r.typ, wire.ClassIN, min(r.ttl, ttlLegacy), r.data) && complete
	}
	if !complete {
		out.SetFlags(wire.FlagTruncated)
	}
	l.add(l.additionals(list), func(r *record) (uint16, uint32) { return wire.ClassIN, min(r.ttl, ttlLegacy) })
	l.sendTo(to)
}

func (l *link) sendTo(to asker) {
	if err := to.socket.send(l.e.out.Bytes(), to.from); err != nil {
		l.e.log.Debug("answering failed", "iface", l.ifi.Name, "to", to.from, "err", err)
	}
}
