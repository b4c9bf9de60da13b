package discovery

import (
	"hash/maphash"
	"time"
)

// echoTime is for how long a packet of ours is known when it comes back: by the
// loop of this host, or by another interface in the same network. The packet of
// another host that proposes the same is none of ours; its address tells.
const echoTime = 2 * time.Second

// echoes are the packets sent last.
type echoes struct {
	ring [32]struct {
		sum uint64
		at  time.Time
	}
	pos int
}

// seed is drawn anew in every process, so that nobody can make packets that
// look like ours.
var seed = maphash.MakeSeed()

func (e *echoes) add(now time.Time, b []byte) {
	e.ring[e.pos].sum = maphash.Bytes(seed, b)
	e.ring[e.pos].at = now
	e.pos = (e.pos + 1) % len(e.ring)
}

func (e *echoes) has(now time.Time, b []byte) bool {
	sum := maphash.Bytes(seed, b)
	for i := range e.ring {
		if e.ring[i].sum == sum && now.Sub(e.ring[i].at) < echoTime {
			return true
		}
	}
	return false
}
