package discovery

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// Probing (RFC 6762 §8.1, §8.2).
const (
	probes        = 3
	probeInterval = 250 * time.Millisecond
	// tieWait is how long the loser of a tie-break gives the winner.
	tieWait = time.Second
	// maxLosses in a row are more than one rival that gets the name would
	// cause; whoever makes them up gets it.
	maxLosses = 10
)

// A claim is a unique name on one link: the state machine of §8 and §9.
type claim struct {
	id    *identity
	name  wire.Name
	key   wire.Name
	phase Phase
	// trial claims the configured name while another is in use; nothing is
	// told of it before it is won on every link.
	trial bool

	sent   int       // probes
	losses int       // tie-breaks in a row
	next   time.Time // when to probe or to be done; zero if held
}

// start begins at the beginning: a random wait, so that hosts that were
// switched on together do not probe together (§8.1).
func (c *claim) start(now time.Time, delay time.Duration) {
	c.phase = Waiting
	c.sent = 0
	c.next = now.Add(delay)
}

// startDelay is the random wait before the first probe.
func startDelay() time.Duration { return rand.N(probeInterval) }

// probed is called when a probe has left.
func (c *claim) probed(now time.Time) {
	c.phase = Probing
	c.sent++
	c.next = now.Add(probeInterval)
}

// hold ends the probing.
func (c *claim) hold() {
	c.phase = Held
	c.losses = 0
	c.next = time.Time{}
}

// A proposal is one record of a probe, reduced to what tie-breaks compare.
type proposal struct {
	class, typ uint16
	data       []byte
}

func compareProposals(a, b proposal) int {
	if a.class != b.class {
		return int(a.class) - int(b.class)
	}
	if a.typ != b.typ {
		return int(a.typ) - int(b.typ)
	}
	return bytes.Compare(a.data, b.data)
}

// tieBreak compares what two hosts propose for one name: negative if ours is
// the lexicographically earlier, which loses (§8.2.1).
func tieBreak(ours, theirs []proposal) int {
	slices.SortFunc(ours, compareProposals)
	slices.SortFunc(theirs, compareProposals)
	return slices.CompareFunc(ours, theirs, compareProposals)
}
