package dhcp4

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// discoverWait is how long the first DISCOVER waits for an offer (RFC 2131
	// §4.1); each further one waits twice as long, up to maxWait: the RFC's 64 s
	// would find a server that comes late too late.
	discoverWait = 4 * time.Second
	// requestWait is the same for a request, which a server that was there a
	// moment ago is to answer.
	requestWait = time.Second
	// pluggedWait comes before these where a cable was just plugged in: a switch
	// that is not ready loses the first message.
	pluggedWait = 250 * time.Millisecond
	maxWait     = 16 * time.Second
)

// repeat broadcasts a message until a time is over, with ever longer waits
// between, and has what comes meanwhile judged. It returns the first state that
// the judge names, nil if there is none.
func (s *session) repeat(ctx context.Context, limit time.Duration, message func() *dhcpv4.DHCPv4,
	judge func(e event, sent time.Time) step) step {
	waits := s.backoff(requestWait)
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

// backoff makes the sequence of waits: first, twice that, and so on, each a
// quarter and at most a second more or less.
func (s *session) backoff(first time.Duration) func() time.Duration {
	next, plugged := first, s.plugged
	return func() time.Duration {
		if plugged {
			plugged = false
			return around(pluggedWait)
		}
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
