package dhcp4

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"server22.local/appliance/netcfg/acd"
)

// checking asks the neighbours whether one of them has the address (RFC 5227),
// and puts it on the link if not.
func (s *session) checking(lease *Lease) step {
	return func(ctx context.Context) step {
		s.enter(Checking)
		addr := lease.Prefix.Addr()
		s.unguard()
		conn, err := s.config.ListenARP(addr)
		if err != nil {
			s.fail("cannot check for conflicts", err)
			pause(ctx, time.Second)
			return s.selecting
		}
		guard := &acd.Guard{Conn: conn, MAC: s.config.MAC, Addr: addr, Timing: acd.Quick, Logger: s.config.Logger,
			OnDefend: func(conflict *acd.Conflict) { s.fail("another host claims the address", conflict) }}
		err = guard.Probe(ctx)
		if conflict, ok := errors.AsType[*acd.Conflict](err); ok {
			_ = conn.Close()
			return s.decline(lease, conflict)
		}
		if err == nil {
			err = s.bind(ctx, lease)
		}
		if err != nil {
			_ = conn.Close()
			if ctx.Err() != nil {
				return nil
			}
			s.fail("cannot use the lease", err)
			pause(ctx, time.Second)
			return s.selecting
		}
		s.hold(ctx, guard)
		return s.bound
	}
}

const (
	// declineWait is the pause after a conflict. RFC 2131 §3.1 asks for 10 s "to
	// avoid excessive network traffic in case of looping"; a first conflict is
	// no loop.
	declineWait = time.Second
	declineLoop = 10 * time.Second
	loopBegins  = 3
)

// decline tells the server that somebody else has the address.
func (s *session) decline(lease *Lease, conflict *acd.Conflict) step {
	return func(ctx context.Context) step {
		s.conflicts++
		s.fail("declining an address", conflict)
		s.open()
		s.broadcast(s.newDecline(lease, conflict.Error()))
		if s.lease == nil || s.lease.Prefix.Addr() == lease.Prefix.Addr() {
			s.forget(ctx)
		}
		s.use(s.lease)
		s.wish = netip.Addr{}
		s.enter(Declined)
		wait := declineWait
		if s.conflicts >= loopBegins {
			wait = declineLoop
		}
		return s.idle(ctx, time.Now().Add(wait), s.selecting)
	}
}

// idle waits until a moment for a command.
func (s *session) idle(ctx context.Context, until time.Time, then step) step {
	for {
		e := s.next(ctx, until)
		switch {
		case ctx.Err() != nil:
			return nil
		case e.command == renew:
			return s.selecting
		case e.command == release:
			return s.release
		case e == (event{}):
			return then
		}
	}
}
