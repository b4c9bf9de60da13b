package discovery

import (
	"net/netip"
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
	if err := l.group.send(b, l.fam.group()); err != nil {
		l.e.log.Debug("sending failed", "iface", l.ifi.Name, "family", l.fam, "err", err)
	}
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
	if l.e.cfg.MulticastOnly || c.sent == probes-1 {
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

// multicast sends records to the group, with what their receivers will ask for
// next.
func (l *link) multicast(now time.Time, answers []*record) {
	l.begin(wire.Answer, answers, func(r *record) (uint16, uint32) { return r.class(), r.ttl }, func() { l.transmit(now) })
	for _, r := range answers {
		r.sent, r.due = now, time.Time{}
	}
	more := slices.DeleteFunc(l.additionals(answers), func(r *record) bool {
		return l.lastSent(r).Add(rateLimit).After(now) // §6 counts these too
	})
	for _, r := range l.add(more, func(r *record) (uint16, uint32) { return r.class(), r.ttl }) {
		r.sent, r.due = now, time.Time{}
	}
	if !l.e.out.Empty() {
		l.transmit(now)
	}
}

// add writes additional records, as far as they fit, and returns those. Of a
// unique set it takes all or none: half of one would be taken for the whole.
func (l *link) add(list []*record, form func(*record) (class uint16, ttl uint32)) []*record {
	out := &l.e.out
	added := list[:0]
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].key == list[0].key && list[n].typ == list[0].typ {
			n++
		}
		mark := out.Mark()
		fits := true
		for _, r := range list[:n] {
			class, ttl := form(r)
			fits = fits && out.Record(wire.Additional, r.name, r.typ, class, ttl, r.data)
		}
		if fits {
			added = append(added, list[:n]...)
		} else {
			out.Rewind(mark)
		}
		list = list[n:]
	}
	return added
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

// withdraw says goodbye for those old records that the link has no more,
// unless their names are lost: then the same records may be the new owner's.
// Where a unique record takes the place of another, its announcement does that
// (§8.4); but an address that was told within the last second would survive
// it, and an address that is wrong does most harm.
func (l *link) withdraw(now time.Time, old zone) {
	var list []*record
	for _, set := range old {
		for _, r := range set {
			if l.records.find(r) == r {
				continue
			}
			l.e.formerly(now, r)
			if r.live() && !r.lost() && r.withdrawable() && !l.replaced(r) {
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

// additionals are the records that whoever gets the answers will want next
// (§6.2; RFC 6763 §12).
func (l *link) additionals(answers []*record) []*record {
	list := l.e.lists[1][:0]
	add := func(r *record) {
		if !slices.Contains(answers, r) {
			list = appendNew(list, r)
		}
	}
	for _, r := range answers {
		switch r.typ {
		case wire.TypePTR:
			if r.sort == shared {
				l.addInstance(wire.Name(r.data), add)
			}
		case wire.TypeSRV:
			l.addAddresses(wire.Name(r.data[6:]).Fold(), add)
		case wire.TypeCNAME:
			l.addAddresses(wire.Name(r.data).Fold(), add)
		case wire.TypeA, wire.TypeAAAA, wire.TypeNSEC:
			l.addAddresses(r.key, add)
		}
	}
	slices.SortStableFunc(list, func(a, b *record) int {
		if a.key != b.key {
			return compareNames(a.key, b.key)
		}
		return int(a.typ) - int(b.typ)
	})
	l.e.lists[1] = list
	return list
}

func (l *link) addInstance(name wire.Name, add func(*record)) {
	for _, r := range l.records[name.Fold()] {
		if r.live() && r.sort == unique {
			add(r)
			if r.typ == wire.TypeSRV {
				l.addAddresses(wire.Name(r.data[6:]).Fold(), add)
			}
		}
	}
}

// addAddresses adds the addresses of a host, and if it has none of one family
// says so, which saves clients from waiting for them.
func (l *link) addAddresses(host wire.Name, add func(*record)) {
	var has [2]bool
	var denial *record
	for _, r := range l.records[host] {
		if !r.live() {
			continue
		}
		switch {
		case r.typ == wire.TypeA || r.typ == wire.TypeAAAA:
			has[r.typ/wire.TypeAAAA] = true
			add(r)
		case r.sort == negative:
			denial = r
		}
	}
	if denial != nil && has[0] != has[1] {
		add(denial)
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
	l.begin(wire.Answer, list, func(r *record) (uint16, uint32) { return r.class(), r.ttl }, send)
	l.add(l.additionals(list), func(r *record) (uint16, uint32) { return r.class(), r.ttl })
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

// An asker is who sent a query, and how it is answered by unicast.
type asker struct {
	from    netip.AddrPort
	socket  socket
	unicast bool   // the query was sent to an address of ours
	legacy  bool   // it comes from a resolver of unicast DNS
	probe   bool   // it probes for a name
	id      uint16 // of the query, for unicast answers (RFC 6762 §18.1)

	// Of legacy queries:
	limit     int
	questions []question
}

type question struct {
	name       wire.Name
	typ, class uint16
}

// legacyLimit is the size that resolvers take, unless they say more (RFC 6891).
const legacyLimit = 512

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
