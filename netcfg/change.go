package netcfg

import (
	"fmt"
	"strings"
	"time"
)

// Op is a kind of change.
type Op string

// The operations.
const (
	SetUp       Op = "set-up"
	SetMTU      Op = "set-mtu"
	AddAddr     Op = "add-address"
	RefreshAddr Op = "refresh-address" // its lifetime
	RemoveAddr  Op = "remove-address"
	AddRoute    Op = "add-route"
	RemoveRoute Op = "remove-route"
)

// Change is one thing to do to the kernel's state.
type Change struct {
	Op    Op           `json:"op"`
	Link  string       `json:"link"`
	Index int          `json:"index"`
	Addr  *WantedAddr  `json:"address,omitempty"`
	Route *WantedRoute `json:"route,omitempty"`
	MTU   int          `json:"mtu,omitempty"`
	Was   int          `json:"was,omitempty"` // the MTU before
}

// String is a line of a diff: "+" for what comes, "-" for what goes, "~" for
// what changes.
func (c Change) String() string {
	switch c.Op {
	case SetUp:
		return fmt.Sprintf("~ link %s up", c.Link)
	case SetMTU:
		return fmt.Sprintf("~ link %s mtu %d (was %d)", c.Link, c.MTU, c.Was)
	case AddAddr:
		return "+ " + c.address()
	case RefreshAddr:
		return "~ " + c.address()
	case RemoveAddr:
		return "- " + c.address()
	case AddRoute:
		return "+ " + c.route()
	default:
		return "- " + c.route()
	}
}

func (c Change) address() string {
	life := ""
	if !c.Addr.Valid.IsZero() && c.Op != RemoveAddr {
		life = " for " + time.Until(c.Addr.Valid).Round(time.Second).String()
	}
	return fmt.Sprintf("address %v dev %s%s (%v)", c.Addr.Prefix, c.Link, life, c.Addr.Origin)
}

func (c Change) route() string {
	var b strings.Builder
	r := c.Route
	if r.Dst.Bits() == 0 {
		b.WriteString("route default")
	} else {
		fmt.Fprintf(&b, "route %v", r.Dst)
	}
	if r.Gateway.IsValid() {
		fmt.Fprintf(&b, " via %v", r.Gateway)
	}
	fmt.Fprintf(&b, " dev %s", c.Link)
	if r.Src.IsValid() {
		fmt.Fprintf(&b, " src %v", r.Src)
	}
	if r.Metric != 0 {
		fmt.Fprintf(&b, " metric %d", r.Metric)
	}
	if r.MTU != 0 {
		fmt.Fprintf(&b, " mtu %d", r.MTU)
	}
	if r.OnLink {
		b.WriteString(" onlink")
	}
	fmt.Fprintf(&b, " (%v)", r.Origin)
	return b.String()
}

// Diff puts one change on each line; it is empty if there are none.
func Diff(changes []Change) string {
	var b strings.Builder
	for _, change := range changes {
		b.WriteString(change.String())
		b.WriteByte('\n')
	}
	return b.String()
}
