package llmnr

import "net/netip"

// A State is what a responder has achieved. It is a copy. The JSON form is
// stable.
type State struct {
	Name  string      `json:"name"`
	Links []LinkState `json:"links"`
}

// A LinkState is how far the name is on one interface in one address family.
type LinkState struct {
	Interface string `json:"interface"`
	Family    string `json:"family"` // "IPv4" or "IPv6"
	Phase     Phase  `json:"phase"`
	// Rival is the host that has the name there, invalid if none.
	Rival netip.Addr `json:"rival,omitzero"`
	// Problem says why nothing is received there: the port is taken, for
	// example.
	Problem string `json:"problem,omitempty"`
}

// A Phase is a step of RFC 4795 §4.1.
type Phase string

// The phases of the name on a link.
const (
	Checking Phase = "checking" // is it unique? Answered as tentative
	Held     Phase = "held"
	Conflict Phase = "conflict" // another host has it; not answered
)
