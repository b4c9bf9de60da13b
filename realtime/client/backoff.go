package client

import (
	"math/rand/v2"
	"time"
)

// backoff gives the waits between attempts: doubling, bounded, and varied so
// that the clients of a server that restarts do not come back all at once.
type backoff struct {
	delay, most time.Duration
	jitter      float64
	attempts    int
}

func (b *backoff) next() time.Duration {
	wait := b.delay
	for range b.attempts {
		if wait >= b.most {
			break
		}
		wait *= 2
	}
	b.attempts++
	// Bounded before it is varied: otherwise half of all clients would come
	// at the same moment once they wait longest.
	vary := 1 + b.jitter*(2*rand.Float64()-1)
	return time.Duration(float64(min(wait, b.most)) * vary)
}
