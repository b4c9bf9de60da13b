package discovery

import (
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// conflict deals with another host that has a name of ours (RFC 6762 §9). A
// name that was held is probed for again, which its real owner will answer; one
// that was not is given up for the next.
func (e *engine) conflict(now time.Time, l *link, c *claim, rival netip.Addr) {
	id := c.id
	id.met(now, c.name, l.ifi.Name, rival)
	e.dirty = true
	log := e.log.With("iface", l.ifi.Name, "name", c.name.String(), "rival", rival)
	switch {
	case c.trial:
		log.Debug("the configured name is still taken")
		id.trial = false
		id.retry = now.Add(e.cfg.Retry)
		e.rebuild(now)
	case c.phase == Held:
		log.Warn("another host claims our name; probing for it again")
		c.start(now, startDelay()+id.penalty(now))
	default:
		e.next(id)
		log.Warn("another host has our name", "next", id.name().String())
		id.retry = now.Add(e.cfg.Retry)
		e.rebuild(now)
	}
}

// next goes on to the next name. Aliases have none: who looks for "chat" has
// no use for "chat-2".
func (e *engine) next(id *identity) {
	if id.kind == AliasName {
		id.n = 0
		return
	}
	id.n++
}

// save remembers the name in use.
func (e *engine) save(id *identity) {
	name := id.name().String()
	if id.kind == AliasName || id.saved == name {
		return
	}
	if err := e.cfg.Store.Save(id.wantedName().String(), name); err != nil {
		e.log.Warn("the name cannot be remembered", "name", name, "err", err)
		return
	}
	id.saved = name
}

// rivalLeft is called for a goodbye: if the name is one that we would like to
// have, it is tried for as soon as caches have dropped it.
func (e *engine) rivalLeft(now time.Time, key []byte) {
	for _, id := range e.identities {
		if id.renamed() && !id.trial && string(id.wantedName().Fold()) == string(key) {
			id.retry = earlier(id.retry, now.Add(time.Second+startDelay()))
		}
	}
}

// retryWanted tries for the configured names whose time has come, while the
// others stay in use.
func (e *engine) retryWanted(now time.Time) {
	if len(e.links) == 0 {
		return
	}
	for _, id := range e.identities {
		if id.renamed() && !id.trial && isDue(id.retry, now) {
			e.log.Debug("trying for the configured name", "name", id.wantedName().String())
			id.trial = true
			e.rebuild(now)
		}
	}
}

// promote puts those configured names to use that have been won everywhere.
func (e *engine) promote(now time.Time) {
	for _, id := range e.identities {
		if !id.trial || !e.heldEverywhere(id, id.wantedName()) {
			continue
		}
		id.trial = false
		id.n = 1
		id.retry = time.Time{}
		e.log.Info("the configured name is ours again", "name", id.name().String())
		e.rebuild(now)
		for _, l := range e.links {
			if c := l.claims[id.name().Fold()]; c != nil {
				l.announce(c, now)
			}
		}
		e.save(id)
	}
}

// A formerRecord is one that this host told until a moment ago.
type formerRecord struct {
	key   wire.Name
	typ   uint16
	data  []byte
	until time.Time
}

// Late packets of our own are recognised for a while, and so many of them.
const (
	formerTime = 10 * time.Second
	maxFormer  = 64
)

// formerly notes that a record is not told any more.
func (e *engine) formerly(now time.Time, r *record) {
	if r.sort != unique || r.sent.IsZero() {
		return
	}
	if len(e.former) == maxFormer {
		e.former = slices.Delete(e.former, 0, 1)
	}
	e.former = append(e.former, formerRecord{r.key, r.typ, r.data, now.Add(formerTime)})
}

func (e *engine) wasOurs(now time.Time, rr *wire.Record, data []byte) bool {
	return slices.ContainsFunc(e.former, func(f formerRecord) bool {
		return f.typ == rr.Type && string(f.key) == string(rr.Key) &&
			now.Before(f.until) && wire.SameData(f.typ, f.data, data)
	})
}
