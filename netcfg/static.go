package netcfg

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/netcfg/acd"
)

// staticRetry is how often an address that another host has is tried again.
const staticRetry = 15 * time.Second

// staticAddr is what is known about the owners of one configured address.
type staticAddr struct {
	free     bool          // nobody else had it when it was checked: we use it
	conflict *acd.Conflict // who has it, or claims it though we do; nil if nobody
	at       time.Time     // of the conflict
}

// claimNews is how long a claim to an address that we defend is a problem to
// tell of: who has configured an address twice repeats it sooner.
const claimNews = 10 * time.Minute

// problem is what an administrator should know about the address, "" if nothing.
func (s *staticAddr) problem(prefix netip.Prefix) string {
	switch {
	case s.conflict == nil:
		return ""
	case !s.free:
		return fmt.Sprintf("the address %v is not used: %v", prefix, s.conflict)
	case time.Since(s.at) < claimNews:
		return fmt.Sprintf("another host claims the address %v: %v", prefix, s.conflict)
	}
	return ""
}

// keepStatic checks a configured address, uses it, and defends it, for as long
// as there is carrier.
func (a *attachment) keepStatic(ctx context.Context, prefix netip.Prefix) {
	for ctx.Err() == nil {
		err := a.holdStatic(ctx, prefix)
		if conflict, ok := errors.AsType[*acd.Conflict](err); ok {
			_ = a.setStatic(ctx, prefix, staticAddr{conflict: conflict, at: time.Now()})
		}
		if err != nil && ctx.Err() == nil {
			a.c.config.Logger.Warn("cannot use a configured address; will try again", "iface", a.ifi.Name, "addr", prefix, "err", err)
		}
		sleep(ctx, staticRetry)
	}
}

func (a *attachment) holdStatic(ctx context.Context, prefix netip.Prefix) error {
	conn, err := a.listenARP(prefix.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	guard := &acd.Guard{
		Conn: conn, MAC: acd.MAC(a.ifi.HardwareAddr), Addr: prefix.Addr(), Timing: acd.Quick, Policy: acd.DefendAlways, Logger: a.c.config.Logger,
		OnDefend: func(conflict *acd.Conflict) {
			_ = a.setStatic(ctx, prefix, staticAddr{free: true, conflict: conflict, at: time.Now()})
		},
	}
	if err := guard.Probe(ctx); err != nil {
		return err
	}
	if err := a.setStatic(ctx, prefix, staticAddr{free: true}); err != nil {
		return err
	}
	return guard.Hold(ctx)
}

func (a *attachment) setStatic(ctx context.Context, prefix netip.Prefix, s staticAddr) error {
	return a.c.do(ctx, func() error {
		a.statics[prefix] = &s
		a.confirmed = slices.ContainsFunc(a.c.settings.Static.Addresses, a.isFree)
		if !s.free {
			return a.c.reconcile()
		}
		return a.reconcileFor(prefix)
	})
}

func (a *attachment) isFree(prefix netip.Prefix) bool {
	s := a.statics[prefix]
	return s != nil && s.free
}

// usableStatics are the configured addresses that may be on the link: those of
// IPv6, which the kernel checks, and those that are free or were there already
// and are not known to be another's.
func (a *attachment) usableStatics(link Link) []netip.Prefix {
	var usable []netip.Prefix
	for _, prefix := range a.c.settings.Static.Addresses {
		s := a.statics[prefix]
		present := slices.ContainsFunc(link.Addrs, func(addr Addr) bool { return addr.Prefix == prefix })
		if prefix.Addr().Is6() || s != nil && s.free || present && (s == nil || s.conflict == nil) {
			usable = append(usable, prefix)
		}
	}
	return usable
}
