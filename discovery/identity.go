package discovery

import (
	"net/netip"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// Backing off from rivals (RFC 6762 §8.1): after 15 conflicts within ten
// seconds, five seconds pass before each further attempt.
const (
	maxConflicts   = 15
	conflictWindow = 10 * time.Second
	backOff        = 5 * time.Second
)

// An identity is a configured name and what it has become: the same on every
// link, so that the host is found under one name wherever one looks.
type identity struct {
	kind   Kind
	wanted string // the first label, or all of an alias
	n      int    // which of the numbered names is in use; 0 if none
	alias  Alias
	svc    Service

	// retry is when to try for the wanted name again; zero if it is in use.
	retry time.Time
	trial bool // it is being tried for

	conflicts int
	recent    []time.Time // conflicts, the newest last, maxConflicts at most
	cautious  bool        // backing off
	rival     *Rival
	saved     string // what the store knows
}

// label is the one in use.
func (id *identity) label() string { return id.kind.Numbered(id.wanted, id.n) }

// fqdn is the complete name for a label of this identity.
func (id *identity) fqdn(label string) wire.Name {
	switch id.kind {
	case AliasName:
		n, _ := id.alias.name() // it was validated
		return n
	case ServiceName:
		return wire.MustName(append([]string{label}, id.svc.typeLabels()...)...)
	}
	return wire.MustName(label, "local")
}

// name is the complete name in use, or "".
func (id *identity) name() wire.Name {
	if id.n == 0 {
		return ""
	}
	return id.fqdn(id.label())
}

func (id *identity) wantedName() wire.Name { return id.fqdn(id.wanted) }

// renamed says whether the wanted name is not the one in use.
func (id *identity) renamed() bool { return id.n != 1 }

// met notes a conflict.
func (id *identity) met(now time.Time, name wire.Name, ifi string, rival netip.Addr) {
	id.conflicts++
	if last := len(id.recent) - 1; last >= 0 && now.Sub(id.recent[last]) >= conflictWindow {
		id.cautious = false
	}
	if len(id.recent) == maxConflicts {
		id.recent = append(id.recent[:0], id.recent[1:]...)
	}
	id.recent = append(id.recent, now)
	if len(id.recent) == maxConflicts && now.Sub(id.recent[0]) < conflictWindow {
		id.cautious = true
	}
	text := name.String()
	if id.rival == nil || id.rival.Address != rival || id.rival.Name != text {
		id.rival = &Rival{Address: rival, Interface: ifi, Name: text, Since: now}
	}
}

// penalty is how long to wait before the next attempt, beyond what is usual.
func (id *identity) penalty(now time.Time) time.Duration {
	if id.cautious && now.Sub(id.recent[len(id.recent)-1]) < conflictWindow {
		return backOff
	}
	return 0
}
