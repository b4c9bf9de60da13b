package discovery

import (
	"slices"

	"server22.local/appliance/discovery/internal/wire"
)

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
