package browse

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// What strangers may make us keep.
const (
	maxInstances = 1000
	maxNames     = 4000 // with a type each
	maxSet       = 64   // records of one name and type
)

// lastSecond is for how long a record lives on that was withdrawn, or that
// others have taken the place of (RFC 6762 §10.1, §10.2).
const lastSecond = time.Second

// A cache is what is known of the services of one type: pointers to instances,
// what these are, and the addresses of their hosts (RFC 6762 §5.2, §10). It is
// not safe for concurrent use.
type cache struct {
	typ  string
	name wire.Name // of the type, folded

	// life is the least that records live, unless they are withdrawn. What
	// one-shot queries are told is short-lived on purpose (§6.7).
	life time.Duration

	sets map[setKey][]*record
	// refs counts how many records point to a name: to an instance, to a host.
	refs map[wire.Name]int
}

// A setKey is a name with a type.
type setKey struct {
	name wire.Name // folded
	typ  uint16
}

// A record is one that some host has told, on one interface.
type record struct {
	name  wire.Name // as told
	data  []byte
	iface string

	told, expires time.Time
	asked         int // how often it was to be refreshed
	// Questions of others that nobody answered make a record doubtful (§10.5).
	doubts int
	doomed time.Time
}

// wanted is what is to be asked for.
type wanted struct {
	name wire.Name
	typ  uint16
}

func newCache(typ string, name wire.Name, life time.Duration) *cache {
	return &cache{typ: typ, name: name.Fold(), life: life, sets: make(map[setKey][]*record), refs: make(map[wire.Name]int)}
}

// enter takes every record of a response that matters, pointers first.
func (c *cache) enter(now time.Time, m *wire.Message, iface string) {
	records := slices.Concat(m.Answers, m.Additionals)
	for _, matters := range []func(*wire.Record) bool{c.isPointer, c.isInstance, c.isAddress} {
		for i := range records {
			r := &records[i]
			if r.Class != wire.ClassIN || !matters(r) {
				continue
			}
			if data, err := m.Data(r); err == nil {
				c.store(now, r, bytes.Clone(data), iface)
			}
		}
	}
}

func (c *cache) isPointer(r *wire.Record) bool {
	return r.Type == wire.TypePTR && wire.Name(r.Key) == c.name
}

func (c *cache) isInstance(r *wire.Record) bool {
	return (r.Type == wire.TypeSRV || r.Type == wire.TypeTXT) && c.refs[wire.Name(r.Key)] > 0
}

func (c *cache) isAddress(r *wire.Record) bool {
	return (r.Type == wire.TypeA || r.Type == wire.TypeAAAA) && c.refs[wire.Name(r.Key)] > 0
}

// refer counts what a record points to.
func (c *cache) refer(typ uint16, r *record, n int) {
	var to wire.Name
	switch typ {
	case wire.TypePTR:
		to = wire.Name(r.data).Fold()
	case wire.TypeSRV:
		to = target(r).Fold()
	default:
		return
	}
	if c.refs[to] += n; c.refs[to] == 0 {
		delete(c.refs, to)
	}
}

// latest returns the record of a name and type that was told last, nil if
// there is none: of those of which there can only be one it is the truth.
func (c *cache) latest(name wire.Name, typ uint16) (latest *record) {
	for _, r := range c.sets[setKey{name.Fold(), typ}] {
		if latest == nil || !r.told.Before(latest.told) {
			latest = r
		}
	}
	return latest
}

// target is the host of an SRV record.
func target(srv *record) wire.Name {
	if len(srv.data) <= 6 {
		return ""
	}
	return wire.Name(srv.data[6:])
}

// store keeps a record, or what it says about those that are there.
func (c *cache) store(now time.Time, r *wire.Record, data []byte, iface string) {
	key := setKey{wire.Name(r.Key), r.Type}
	if r.Flush {
		c.replace(now, key, data, iface)
	}
	old := c.find(key, data, iface)
	if r.TTL == 0 {
		if old != nil {
			old.end(now)
		}
		return
	}
	if old == nil {
		old = c.add(key, &record{name: wire.Name(r.Key), data: data, iface: iface})
	}
	if old != nil {
		life := max(time.Duration(r.TTL)*time.Second, c.life)
		old.told, old.expires = now, now.Add(life)
		old.asked, old.doubts = 0, 0
	}
}

// add keeps a new record, unless there are too many.
func (c *cache) add(key setKey, r *record) *record {
	set, limit := c.sets[key], maxSet
	if key.name == c.name {
		limit = maxInstances
	}
	if len(set) >= limit || set == nil && len(c.sets) >= maxNames {
		return nil
	}
	c.sets[key] = append(set, r)
	c.refer(key.typ, r, 1)
	return r
}

// find returns the record that says the same.
func (c *cache) find(key setKey, data []byte, iface string) *record {
	for _, r := range c.sets[key] {
		if r.iface == iface && wire.SameData(key.typ, r.data, data) {
			return r
		}
	}
	return nil
}

// replace ends the records of a set that others take the place of, if they
// were not told together with these (§10.2).
func (c *cache) replace(now time.Time, key setKey, data []byte, iface string) {
	for _, r := range c.sets[key] {
		if r.iface == iface && now.Sub(r.told) > lastSecond && !wire.SameData(key.typ, r.data, data) {
			r.end(now)
		}
	}
}

func (r *record) end(now time.Time) {
	if last := now.Add(lastSecond); last.Before(r.expires) {
		r.expires = last
	}
}

// refresh is when a record is to be asked for again: at 80, 85, 90 and 95 % of
// its life, and up to 2 % later, lest all ask at once (§5.2). Zero is never.
func (r *record) refresh() time.Time {
	if r.asked > 3 || r.expires.Sub(r.told) <= lastSecond {
		return time.Time{}
	}
	life := r.expires.Sub(r.told)
	return r.told.Add(life * time.Duration(80+5*r.asked) / 100).Add(jitter(r, life))
}

// jitter is the same for as long as nothing is heard of the record.
func jitter(r *record, life time.Duration) time.Duration {
	seed := rand.New(rand.NewPCG(uint64(r.told.UnixNano()), uint64(r.asked)))
	return time.Duration(seed.Int64N(int64(life/50) + 1))
}

// expire forgets what is over.
func (c *cache) expire(now time.Time) {
	for key, set := range c.sets {
		set = slices.DeleteFunc(set, func(r *record) bool {
			over := !r.expires.After(now) || r.doubts >= minDoubts && !r.doomed.After(now)
			if over {
				c.refer(key.typ, r, -1)
			}
			return over
		})
		c.sets[key] = set
		if len(set) == 0 {
			delete(c.sets, key)
		}
	}
}

// forget drops what is known of an interface.
func (c *cache) forget(iface string) {
	for _, set := range c.sets {
		for _, r := range set {
			if r.iface == iface {
				r.expires = time.Time{}
			}
		}
	}
}

// stale are the records that are to be asked for now.
func (c *cache) stale(now time.Time) (list []wanted) {
	for key, set := range c.sets {
		for _, r := range set {
			if at := r.refresh(); !at.IsZero() && !at.After(now) {
				r.asked++
				list = append(list, wanted{r.name, key.typ})
			}
		}
	}
	return list
}

// next is when there is something to be done, zero if never.
func (c *cache) next() time.Time {
	var next time.Time
	for _, set := range c.sets {
		for _, r := range set {
			next = earlier(earlier(next, r.expires), r.refresh())
			if r.doubts >= minDoubts {
				next = earlier(next, r.doomed)
			}
		}
	}
	return next
}

// earlier returns the earlier of two times, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Passive observation of failures (§10.5): so many questions of others without
// an answer within that time.
const (
	minDoubts = 2
	doubtTime = 10 * time.Second
)

// doubt notes that somebody else asked for what is known here, and does not
// know it.
func (c *cache) doubt(now time.Time, q wire.Question, m *wire.Message, iface string) {
	for key, set := range c.sets {
		if string(key.name) != string(q.Key) || q.Type != key.typ && q.Type != wire.TypeANY {
			continue
		}
		for _, r := range set {
			if r.iface != iface || isKnown(m, key.typ, r) {
				continue
			}
			if r.doubts == 0 {
				r.doomed = now.Add(doubtTime)
			}
			r.doubts++
		}
	}
}

// isKnown says whether the sender of a query knows a record.
func isKnown(m *wire.Message, typ uint16, r *record) bool {
	return slices.ContainsFunc(m.Answers, func(known wire.Record) bool {
		data, err := m.Data(&known)
		return err == nil && known.Type == typ && wire.Name(known.Key) == r.name.Fold() && wire.SameData(typ, r.data, data)
	})
}

// known are the pointers that a question need not be answered with: those that
// have at least half of their life before them (§7.1).
func (c *cache) known(now time.Time, iface string) (list []*record) {
	for _, r := range c.sets[setKey{c.name, wire.TypePTR}] {
		if r.iface == iface && r.expires.Sub(now) > r.expires.Sub(r.told)/2 {
			list = append(list, r)
		}
	}
	return list
}
