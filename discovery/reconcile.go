package discovery

import (
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// reconcile makes identities and links what is wanted.
func (e *engine) reconcile(now time.Time) {
	want := e.r.wanted()
	if want.resumed != e.want.resumed {
		e.resume(now)
	}
	e.want = want
	e.dirty = true
	e.identities = e.wantedIdentities(now)
	e.reconcileLinks(now)
	e.rebuild(now)
}

// wantedIdentities keeps the identities that are wanted still, and adds those
// that are new.
func (e *engine) wantedIdentities(now time.Time) []*identity {
	ids := []*identity{e.identity(now, &identity{kind: HostName, wanted: e.want.host})}
	for _, a := range e.want.aliases {
		id := e.identity(now, &identity{kind: AliasName, wanted: a.Name, alias: a})
		id.alias = a
		ids = append(ids, id)
	}
	for _, s := range e.want.services {
		id := e.identity(now, &identity{kind: ServiceName, wanted: s.Instance, svc: s})
		id.svc = s
		ids = append(ids, id)
	}
	return ids
}

// identity returns the one that exists for what id wants, or id as a new one,
// with the name that it won before.
func (e *engine) identity(now time.Time, id *identity) *identity {
	name := id.wantedName()
	for _, old := range e.identities {
		if old.kind == id.kind && old.wantedName() == name {
			return old
		}
	}
	id.n = 1
	id.saved = name.String()
	if id.kind == AliasName {
		return id
	}
	won, err := e.cfg.Store.Load(id.saved)
	if err != nil {
		e.log.Warn("the names won before cannot be read", "err", err)
	}
	if n, ok := id.kind.Number(id.wanted, firstLabel(won)); won != "" && ok && n > 1 {
		id.n, id.saved = n, won
		id.retry = now.Add(e.cfg.Retry)
	}
	return id
}

// A linkKey tells links apart.
type linkKey struct {
	index int
	name  string
	fam   family
}

// reconcileLinks opens, updates and closes links.
func (e *engine) reconcileLinks(now time.Time) {
	var links []*link
	for _, ifi := range e.want.interfaces {
		for _, fam := range []family{ipv4, ipv6} {
			if !ifi.Usable() || !e.cfg.Filter(ifi) || !ifi.has(fam) {
				continue // §8.1: there is no probing without an address
			}
			l := e.link(linkKey{ifi.Index, ifi.Name, fam})
			if l == nil {
				l = newLink(e, ifi, fam)
				e.log.Info("link is up", "iface", ifi.Name, "family", fam)
			}
			l.ifi = ifi
			l.retry = now // for the sockets of new addresses
			links = append(links, l)
		}
	}
	for _, l := range e.links {
		if !slices.Contains(links, l) {
			e.drop(l, now)
		}
	}
	e.links = links
}

func (e *engine) link(key linkKey) *link {
	for _, l := range e.links {
		if l.key() == key {
			return l
		}
	}
	return nil
}

// drop closes a link, with a goodbye if it still works, because it is only not
// wanted any more.
func (e *engine) drop(l *link, now time.Time) {
	i := slices.IndexFunc(e.want.interfaces, func(i Interface) bool { return i.Index == l.ifi.Index })
	if i >= 0 && e.want.interfaces[i].Usable() && e.want.interfaces[i].has(l.fam) {
		l.goodbye(now)
	}
	l.close()
	e.log.Info("link is down", "iface", l.ifi.Name, "family", l.fam)
}

// rebuild makes the records of every link anew.
func (e *engine) rebuild(now time.Time) {
	for _, l := range e.links {
		l.rebuild(now)
	}
	e.dirty = true
}

// rebuild computes the claims and records that the link should have, and
// withdraws and announces the difference.
func (l *link) rebuild(now time.Time) {
	claims := make(map[wire.Name]*claim)
	records := make(zone)
	delay := startDelay() // one, so that names that begin together share probes
	host := l.e.identities[0].name()
	for _, id := range l.e.identities {
		if name := id.name(); name != "" {
			l.claim(claims, records, id, name, host, now, delay)
		}
		if id.trial {
			l.claim(claims, records, id, id.wantedName(), host, now, delay)
		}
	}
	old := l.records
	l.claims, l.records = claims, l.keep(records)
	l.withdraw(now, old)
	l.announceNew(now)
}

// claim adds what one name of an identity needs.
func (l *link) claim(claims map[wire.Name]*claim, z zone, id *identity, name, host wire.Name, now time.Time, delay time.Duration) {
	key := name.Fold()
	if claims[key] != nil {
		return // two names of one host; the first has it
	}
	c := l.claims[key]
	if c == nil || c.id != id {
		c = &claim{id: id, name: name, key: key}
		c.start(now, delay+id.penalty(now))
	}
	c.trial = id.trial && name == id.wantedName() && id.renamed()
	claims[key] = c
	switch {
	case id.kind == HostName:
		hostRecords(z, name, c, l.ifi.Addresses)
		if !l.e.want.multicastOnly {
			reverseRecords(z, name, c, l.ifi.Addresses)
		}
	case id.kind == ServiceName:
		serviceRecords(z, id.svc, name, host, c)
	case id.alias.CNAME:
		aliasRecords(z, name, host, c)
	default:
		hostRecords(z, name, c, l.ifi.Addresses)
	}
}

// keep returns the new records, each as the object that it was before if it
// was there, so that what is remembered of it is kept.
func (l *link) keep(records zone) zone {
	for _, set := range records {
		for i, r := range set {
			if old := l.records.find(r); old != nil {
				old.claims, old.ttl = r.claims, r.ttl
				set[i] = old
			}
		}
	}
	return records
}
