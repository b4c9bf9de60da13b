package dhcp4

import (
	"context"
	"fmt"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// bound uses the lease until T1.
func (s *session) bound(ctx context.Context) step {
	s.enter(Bound)
	s.config.Logger.Info("dhcp lease", "addr", s.lease.Prefix, "server", s.lease.Server,
		"router", s.lease.FirstRouter(), "for", lifetime(s.lease.Duration))
	s.noteRouter(ctx)
	until := after(s.lease.Obtained, s.lease.RenewAfter)
	for {
		e := s.next(ctx, until)
		switch {
		case ctx.Err() != nil:
			return nil
		case e.conflict != nil:
			return s.decline(s.lease, e.conflict)
		case e.command == release:
			return s.release
		case e.expired:
			return s.selecting
		case e.command == renew, e == (event{}):
			s.open()
			return s.renewing
		}
	}
}

// after is a moment so far in the future for Forever that no timer reaches it.
func after(from time.Time, d time.Duration) time.Time {
	if d == Forever {
		return from.AddDate(100, 0, 0)
	}
	return from.Add(d)
}

func lifetime(d time.Duration) string {
	if d == Forever {
		return "ever"
	}
	return d.String()
}

// noteRouter remembers the router's hardware address with the lease, so that
// this network is known again.
func (s *session) noteRouter(ctx context.Context) {
	router := s.lease.FirstRouter()
	if s.lease.RouterMAC != "" || !router.IsValid() || s.config.Neighbour == nil || s.config.Store == nil {
		return
	}
	mac, err := s.config.Neighbour(ctx, s.lease.Prefix.Addr(), router)
	if err != nil {
		s.config.Logger.Debug("the router does not answer", "router", router, "err", err)
		return
	}
	lease := *s.lease
	lease.RouterMAC = mac
	s.use(&lease)
	s.save(&lease)
}

// renewing asks the server of the lease until T2.
func (s *session) renewing(ctx context.Context) step {
	s.enter(Renewing)
	t2 := after(s.lease.Obtained, s.lease.RebindAfter)
	send := func(m *dhcpv4.DHCPv4) error {
		err := s.conn.Unicast(s.lease.Prefix.Addr(), s.lease.Server, encode(m))
		if err == nil {
			return nil
		}
		s.config.Logger.Debug("cannot unicast; broadcasting", "err", err)
		return s.conn.BroadcastFrom(s.lease.Prefix.Addr(), encode(m))
	}
	mine := func(a *answer) bool { return a.server == s.lease.Server }
	return s.extend(ctx, t2, send, mine, s.rebinding)
}

// rebinding asks any server until the lease ends.
func (s *session) rebinding(ctx context.Context) step {
	s.enter(Rebinding)
	s.fail("cannot renew the lease", fmt.Errorf("%v does not answer; asking all servers", s.lease.Server))
	send := func(m *dhcpv4.DHCPv4) error {
		return s.conn.BroadcastFrom(s.lease.Prefix.Addr(), encode(m))
	}
	any := func(*answer) bool { return true }
	return s.extend(ctx, after(s.lease.Obtained, s.lease.Duration), send, any, s.rebinding)
}

// extend sends requests until a moment, waiting half of the time that remains
// before it after each (RFC 2131 §4.4.5).
func (s *session) extend(ctx context.Context, until time.Time, send func(*dhcpv4.DHCPv4) error,
	believed func(*answer) bool, otherwise step) step {
	for {
		s.reopen()
		sent := time.Now()
		if err := send(s.newExtension(s.lease.Prefix.Addr())); err != nil {
			s.fail("cannot ask for more time", err)
		}
		wait := max(time.Until(until)/2, s.leastWait())
		if next, ended := s.awaitExtension(ctx, sent, earlier(until, sent.Add(wait)), believed); ended {
			return next
		}
		if !time.Now().Before(until) {
			return otherwise
		}
	}
}

// leastWait is the least time between two requests for more time: the minute of
// RFC 2131 §4.4.5, and less for leases that are themselves of minutes.
func (s *session) leastWait() time.Duration {
	return min(max(s.lease.Duration/40, time.Second), time.Minute)
}

// awaitExtension waits for the answer to one request.
func (s *session) awaitExtension(ctx context.Context, sent, until time.Time, believed func(*answer) bool) (next step, ended bool) {
	for {
		e := s.next(ctx, until)
		switch {
		case ctx.Err() != nil:
			return nil, true
		case e.conflict != nil:
			return s.decline(s.lease, e.conflict), true
		case e.command == release:
			return s.release, true
		case e.command == renew:
			return s.renewing, true
		case e.expired:
			return s.selecting, true
		case e == (event{}):
			return nil, false
		case !believed(e.answer):
			continue
		case e.answer.kind == dhcpv4.MessageTypeNak:
			s.refused(e.answer)
			return s.afterNAK, true
		}
		if lease := s.granted(e.answer, s.lease, sent); lease != nil {
			lease.RouterMAC = s.lease.RouterMAC
			s.conflicts = 0
			if err := s.bind(ctx, lease); err != nil {
				s.fail("cannot put the renewed lease on the link", err)
				continue
			}
			return s.bound, true
		}
	}
}

// releaseGrace is how long the address stays for the kernel to find the server
// by ARP, on which the message waits.
const releaseGrace = 100 * time.Millisecond

// release gives the lease back and waits to be told to get another.
func (s *session) release(ctx context.Context) step {
	if s.lease != nil {
		s.open()
		m := s.newRelease(s.lease)
		if err := s.conn.Unicast(s.lease.Prefix.Addr(), s.lease.Server, encode(m)); err != nil {
			s.fail("cannot tell the server of the release", err)
		}
		pause(ctx, releaseGrace)
	}
	s.forget(ctx)
	s.enter(Released)
	s.commandDone()
	return s.idle(ctx, after(time.Now(), Forever), s.release)
}
