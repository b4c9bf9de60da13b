package dhcp4

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// firstWait is how long the first message waits for an answer; each further
	// one waits twice as long, up to maxWait. RFC 2131 §4.1 would begin with 4 s
	// and end with 64: but one lost packet should not cost seconds, and a server
	// that comes late should be found soon.
	firstWait = time.Second
	// pluggedWait is firstWait where a cable was just plugged in.
	pluggedWait = 250 * time.Millisecond
	maxWait     = 16 * time.Second
)

// repeat broadcasts a message until a time is over, with ever longer waits
// between, and has what comes meanwhile judged. It returns the first state that
// the judge names, nil if there is none.
func (s *session) repeat(ctx context.Context, limit time.Duration, message func() *dhcpv4.DHCPv4,
	judge func(e event, sent time.Time) step) step {
	waits := s.backoff()
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		sent := time.Now()
		s.broadcast(message())
		until := earlier(end, sent.Add(waits()))
		for e := s.next(ctx, until); e != (event{}) && e.command != renew; e = s.next(ctx, until) {
			if next := judge(e, sent); next != nil {
				return next
			}
		}
	}
	return nil
}

// backoff makes the sequence of waits: 1, 2, 4, 8, 16, 16, ... seconds, each a
// quarter and at most a second more or less.
func (s *session) backoff() func() time.Duration {
	next := firstWait
	if s.plugged {
		next = pluggedWait
	}
	return func() time.Duration {
		wait := next
		next = min(2*next, maxWait)
		return around(wait)
	}
}

// around keeps those that booted together from asking together.
func around(d time.Duration) time.Duration {
	spread := min(d/4, time.Second)
	return d - spread + rand.N(2*spread)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
