package dhcp4

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// silentTries is after how many tries without an answer we ask for broadcast
	// ones: some access points drop unicast to a host without an address.
	silentTries = 2
	// betterOffer is how long the offer of another address than the wished waits
	// for the wished one.
	betterOffer = 200 * time.Millisecond
	// rebootTime is after how long without an answer the address of last time is
	// given up, and requestTime an offer. Both are less than RFC 2131 has it: the
	// alternative is to ask for another address.
	rebootTime  = 5 * time.Second
	requestTime = 7 * time.Second
)

// begin looks for a lease of an earlier time.
func (s *session) begin(context.Context) step {
	lease := s.lease
	if lease == nil && s.config.Store != nil {
		var err error
		if lease, err = s.config.Store.Load(); err != nil {
			s.fail("cannot load the saved lease", err)
		}
	}
	if lease == nil {
		return s.selecting
	}
	s.wish = lease.Prefix.Addr()
	if lease.Expired() || s.config.Discover {
		return s.selecting
	}
	return s.rebooting(lease)
}

// rebooting asks whether the address of an earlier time still holds.
func (s *session) rebooting(old *Lease) step {
	return func(ctx context.Context) step {
		s.enter(Rebooting)
		s.open()
		ask := func() *dhcpv4.DHCPv4 { return s.newReboot(old.Prefix.Addr()) }
		next := s.repeat(ctx, rebootTime, ask, func(e event, sent time.Time) step {
			switch {
			case e.answer != nil && e.answer.kind == dhcpv4.MessageTypeNak:
				s.refused(e.answer)
				s.drop(ctx)
				return s.selecting
			case e.answer != nil:
				return s.accept(e.answer, old, sent)
			case e.command == release:
				return s.release
			case e.conflict != nil:
				return s.decline(old, e.conflict)
			default: // the old lease has expired
				return s.selecting
			}
		})
		if next == nil && ctx.Err() == nil {
			return s.unanswered(ctx, old)
		}
		return next
	}
}

// unanswered decides about an address that no server spoke about: if its router
// is there, so are we (RFC 4436), and the lease holds until it ends (RFC 2131
// §3.2). Otherwise a server is looked for; an address that is in use stays.
func (s *session) unanswered(ctx context.Context, old *Lease) step {
	router := old.FirstRouter()
	if !router.IsValid() || old.RouterMAC == "" || s.config.Neighbour == nil {
		return s.selecting
	}
	mac, err := s.config.Neighbour(ctx, anyAddr, router)
	if err != nil || mac != old.RouterMAC {
		return s.selecting
	}
	s.config.Logger.Info("no DHCP server answers, but the router of last time does; keeping the address", "addr", old.Prefix)
	return s.checking(old)
}

// selecting looks for a server until one offers something acceptable.
func (s *session) selecting(ctx context.Context) step {
	s.enter(Selecting)
	s.open()
	waits := s.backoff(discoverWait)
	s.plugged = false
	for try := 0; ctx.Err() == nil; try++ {
		s.wantsBroadcast = s.wantsBroadcast || try >= silentTries
		sent := time.Now()
		s.broadcast(s.newDiscover())
		offer, next := s.collect(ctx, sent, sent.Add(waits()))
		switch {
		case next != nil:
			return next
		case offer != nil:
			return s.requesting(offer)
		}
	}
	return nil
}

// collect waits for an offer; the first acceptable one is taken unless it is of
// another address than the one we would like, when that has 200 ms to come.
func (s *session) collect(ctx context.Context, sent, until time.Time) (*Lease, step) {
	var best *Lease
	for {
		e := s.next(ctx, until)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case e.command == renew:
			return best, s.selecting // now, and without the back-off
		case e.command == release:
			return nil, s.release
		case e.conflict != nil && s.lease != nil:
			return nil, s.decline(s.lease, e.conflict)
		case e.expired:
			continue
		case e.answer == nil:
			return best, nil
		}
		offer := s.offered(e.answer, sent)
		switch {
		case offer == nil:
			continue
		case e.answer.kind == dhcpv4.MessageTypeAck:
			return nil, s.checking(offer)
		case !s.wish.IsValid() || offer.Prefix.Addr() == s.wish:
			return offer, nil
		case best == nil:
			best = offer
			until = earlier(until, time.Now().Add(betterOffer))
		}
	}
}

// offered reads an OFFER, or an ACK that answers the DISCOVER (RFC 4039).
func (s *session) offered(a *answer, sent time.Time) *Lease {
	if a.kind != dhcpv4.MessageTypeOffer && !(a.kind == dhcpv4.MessageTypeAck && a.rapid() && s.conflicts == 0) {
		return nil
	}
	lease, err := parseLease(a.raw, sent)
	if err != nil {
		s.fail(fmt.Sprintf("refusing what %v offers", a.server), err)
		return nil
	}
	return lease
}

// requesting takes an offer.
func (s *session) requesting(offer *Lease) step {
	return func(ctx context.Context) step {
		s.enter(Requesting)
		ask := func() *dhcpv4.DHCPv4 { return s.newRequest(offer) }
		next := s.repeat(ctx, requestTime, ask, func(e event, sent time.Time) step {
			switch {
			case e.answer != nil && e.answer.server != offer.Server:
				return nil // another server has no say in it
			case e.answer != nil && e.answer.kind == dhcpv4.MessageTypeNak:
				s.refused(e.answer)
				return s.afterNAK
			case e.answer != nil:
				return s.accept(e.answer, offer, sent)
			case e.command == release:
				return s.release
			case e.conflict != nil && s.lease != nil:
				return s.decline(s.lease, e.conflict)
			default:
				return nil
			}
		})
		if next == nil && ctx.Err() == nil {
			s.fail("no answer to a request", fmt.Errorf("%v offered %v and went silent", offer.Server, offer.Prefix.Addr()))
			return s.selecting
		}
		return next
	}
}

// accept goes on with an ACK for an address; nil says that it is none.
func (s *session) accept(a *answer, asked *Lease, sent time.Time) step {
	if lease := s.granted(a, asked, sent); lease != nil {
		return s.checking(lease)
	}
	return nil
}

// granted reads an ACK for an address; nil says that it is none, or not for
// this address.
func (s *session) granted(a *answer, asked *Lease, sent time.Time) *Lease {
	if a.kind != dhcpv4.MessageTypeAck {
		return nil
	}
	lease, err := parseLease(a.raw, sent)
	if err == nil && lease.Prefix.Addr() != asked.Prefix.Addr() {
		err = fmt.Errorf("it grants %v where %v was asked for", lease.Prefix.Addr(), asked.Prefix.Addr())
	}
	if err != nil {
		s.fail(fmt.Sprintf("refusing what %v grants", a.server), err)
		return nil
	}
	return lease
}

func (s *session) refused(a *answer) {
	s.naks++
	s.wish = netip.Addr{}
	s.fail(fmt.Sprintf("%v refuses the address", a.server), errors.New(textOption(a.raw.Options, optMessage)))
}

// afterNAK begins anew, ever more slowly if offers are refused again and again.
func (s *session) afterNAK(ctx context.Context) step {
	s.drop(ctx)
	if s.naks > 1 {
		pause(ctx, min(time.Second<<min(s.naks-2, 4), 10*time.Second))
	}
	return s.selecting
}
