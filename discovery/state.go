package discovery

import (
	"net/netip"
	"slices"
	"time"
)

// A State is what a responder has achieved. It is a copy; keep it as long as
// you like. The JSON form is stable.
type State struct {
	// Names are the host's first, then those of aliases and services, in the
	// order in which they were configured.
	Names []NameState `json:"names"`
	// Links are the interfaces in use, once for each address family.
	Links []LinkState `json:"links"`
}

// Host returns the state of the host's own name.
func (s State) Host() NameState {
	for _, n := range s.Names {
		if n.Kind == HostName {
			return n
		}
	}
	return NameState{}
}

// A Kind says what a name is for.
type Kind string

// The kinds of names.
const (
	HostName    Kind = "host"
	AliasName   Kind = "alias"
	ServiceName Kind = "service"
)

// A NameState is what became of one configured name.
type NameState struct {
	Kind Kind `json:"kind"`
	// Wanted is the configured name, complete: "server22.local.". In names of
	// services dots of the instance are escaped as "\.".
	Wanted string `json:"wanted"`
	// Name is the one in use or being probed for: "server22-2.local."; empty
	// for an alias that another host has.
	Name string `json:"name"`
	// Held says that the name is ours on every link that works, of which
	// there is one at least.
	Held bool `json:"held"`
	// Links says how far it is on each, in the order of [State.Links].
	Links []NameOnLink `json:"links"`
	// Conflicts counts how often another host claimed one of its names.
	Conflicts int `json:"conflicts"`
	// Rival is the last host that did, nil if none.
	Rival *Rival `json:"rival,omitempty"`
}

// Label returns the first label of the name in use: "server22-2".
func (n NameState) Label() string { return firstLabel(n.Name) }

// A Rival is a host that claims a name of ours.
type Rival struct {
	Address   netip.Addr `json:"address"`
	Interface string     `json:"interface"`
	Name      string     `json:"name"` // the name it claims
	Since     time.Time  `json:"since"`
}

// A NameOnLink is how far a name is on one link.
type NameOnLink struct {
	Interface string `json:"interface"`
	Family    string `json:"family"` // "IPv4" or "IPv6"
	Phase     Phase  `json:"phase"`
}

// A Phase is a step of RFC 6762 §8.
type Phase string

// The phases of a name.
const (
	Waiting Phase = "waiting" // before the first probe, or backing off
	Probing Phase = "probing"
	Held    Phase = "held"
)

// A LinkState is one interface in one address family.
type LinkState struct {
	Interface string       `json:"interface"`
	Index     int          `json:"index"`
	Family    string       `json:"family"`
	Addresses []netip.Addr `json:"addresses"`
	// Problem says why nothing is received or sent there: the port is taken
	// by a program that does not share it, or the routes forbid multicast, for
	// example.
	Problem string `json:"problem,omitempty"`
}

func firstLabel(name string) string {
	var label []byte
	for i := 0; i < len(name) && name[i] != '.'; i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		label = append(label, name[i])
	}
	return string(label)
}

// equal is used to tell subscribers only of what changed.
func (s State) equal(t State) bool {
	return slices.EqualFunc(s.Names, t.Names, NameState.equal) &&
		slices.EqualFunc(s.Links, t.Links, LinkState.equal)
}

func (l LinkState) equal(m LinkState) bool {
	return l.Interface == m.Interface && l.Index == m.Index && l.Family == m.Family &&
		l.Problem == m.Problem && slices.Equal(l.Addresses, m.Addresses)
}

func (n NameState) equal(o NameState) bool {
	sameRival := n.Rival == o.Rival || n.Rival != nil && o.Rival != nil && *n.Rival == *o.Rival
	return sameRival && n.Kind == o.Kind && n.Wanted == o.Wanted && n.Name == o.Name &&
		n.Held == o.Held && n.Conflicts == o.Conflicts && slices.Equal(n.Links, o.Links)
}
