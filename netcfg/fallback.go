package netcfg

import (
	"context"
	"net/netip"
	"time"

	"server22.local/appliance/netcfg/linklocal"
)

// fallbackWait is how long there is carrier without an address before a
// link-local one is claimed.
const fallbackWait = 5 * time.Second

// considerLinkLocal starts or ends the claim of a link-local address.
func (a *attachment) considerLinkLocal() {
	mode := a.c.settings.LinkLocal
	want := a.c.configures() && a.connected != nil &&
		(mode == LinkLocalAlways || mode == LinkLocalFallback && !a.confirmed)
	switch {
	case want && a.linkLocalJob == nil:
		wait := time.Duration(0)
		if mode == LinkLocalFallback && !a.linkLocal.IsValid() {
			wait = fallbackWait
		}
		config := linklocal.Config{
			MAC: a.now.MAC, First: a.c.files.last.LinkLocal, Listen: a.listenARP, Bind: a.bindLinkLocal, Logger: a.c.config.Logger,
		}
		a.linkLocalJob = a.c.start(func(ctx context.Context) {
			if sleep(ctx, wait) {
				_ = linklocal.Run(ctx, config)
			}
		})
	case !want && (a.linkLocalJob != nil || a.linkLocal.IsValid() && (a.confirmed || mode == LinkLocalOff)):
		a.linkLocalJob.stop()
		a.linkLocalJob, a.linkLocal = nil, netip.Addr{}
	}
}

// bindLinkLocal is called by the claim.
func (a *attachment) bindLinkLocal(ctx context.Context, addr netip.Addr) error {
	return a.c.do(ctx, func() error {
		a.linkLocal = addr
		if !addr.IsValid() {
			return a.c.reconcile()
		}
		return a.reconcileFor(netip.PrefixFrom(addr, linklocal.Prefix.Bits()))
	})
}
