package llmnr

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"
)

// Times of the uniqueness check (RFC 4795 §2.7, §7).
const (
	checkQueries = 3
	timeout      = time.Second
	maxJitter    = 100 * time.Millisecond
	// recheckPause keeps whoever sends queries with the conflict bit from
	// making us check all the time.
	recheckPause = 30 * time.Second
)

// keepUnique checks the name now, when a client says that there is a conflict,
// and after a while if another host had it.
func (l *link) keepUnique(ctx context.Context) {
	for {
		rival, err := l.check(ctx)
		checked := time.Now()
		if ctx.Err() != nil {
			return
		}
		var wait <-chan time.Time
		switch {
		case err != nil: // the interface is not ready
			l.log.Debug("the name could not be checked", "err", err)
			wait = time.After(timeout)
		case rival.IsValid():
			l.settle(Conflict, rival)
			wait = time.After(l.r.cfg.Retry)
		default:
			l.settle(Held, rival)
		}
		select {
		case <-ctx.Done():
			return
		case <-wait:
		case <-l.recheck:
			if !pause(ctx, time.Until(checked.Add(recheckPause))) {
				return
			}
		}
	}
}

// check asks for the name, and returns the host that has it (§4.1).
func (l *link) check(ctx context.Context) (rival netip.Addr, err error) {
	own := l.own()[0]
	s, err := l.r.cfg.platform.asker(l.ifi, own)
	if err != nil {
		return rival, err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	query := new(dns.Msg)
	query.Id = dns.Id()
	query.Question = []dns.Question{{Name: l.name + ".", Qtype: dns.TypeANY, Qclass: dns.ClassINET}}
	packet, err := query.Pack()
	if err != nil {
		return rival, err
	}
	for range checkQueries {
		if !pause(ctx, rand.N(maxJitter)) {
			return rival, ctx.Err()
		}
		if err := s.send(packet, l.fam.group()); err != nil {
			return rival, err
		}
		if rival, err = l.await(s, query, own); rival.IsValid() || err != nil {
			return rival, err
		}
	}
	return rival, nil
}

// await reads answers to the check until one of them is a conflict.
func (l *link) await(s socket, query *dns.Msg, own netip.Addr) (rival netip.Addr, err error) {
	if err := s.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return rival, err
	}
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := s.receive(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return netip.Addr{}, nil
		}
		if err != nil {
			return netip.Addr{}, err
		}
		m := new(dns.Msg)
		if m.Unpack(buf[:n]) != nil || !isAnswer(m, query) || !l.onLink(from.Addr()) || l.r.isOwn(from.Addr()) {
			continue
		}
		if claims(m, from.Addr(), own) {
			return from.Addr(), nil
		}
	}
}

// isAnswer says whether a message answers a query of ours.
func isAnswer(m, query *dns.Msg) bool {
	return m.Response && m.Id == query.Id && m.Opcode == dns.OpcodeQuery && m.Rcode == dns.RcodeSuccess &&
		len(m.Question) == 1 && dns.CanonicalName(m.Question[0].Name) == dns.CanonicalName(query.Question[0].Name)
}

// claims says whether an answer means that the name is not ours to use. Of two
// hosts that check at the same time, the one with the smaller address wins
// (§4.1).
func claims(m *dns.Msg, from, own netip.Addr) bool {
	if tentativeBit(m) {
		return from.Unmap().WithZone("").Less(own)
	}
	return true
}

// pause waits, and returns false if the context ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
