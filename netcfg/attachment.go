package netcfg

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"server22.local/appliance/netcfg/acd"
	"server22.local/appliance/netcfg/dhcp4"
	"server22.local/appliance/netcfg/linklocal"
)

// attachment is what we do to one interface as long as it is there. It belongs
// to the loop's goroutine; what runs beside (jobs) comes back by do.
type attachment struct {
	c     *Configurator
	now   Link           // as it was last seen
	owner *Owner         // who configures it, nil if nobody else does
	ifi   *net.Interface // as jobs may use it: what does not change

	dhcp  *dhcp4.Client
	lease *dhcp4.Lease // on the link, nil for none
	// leased says that there was a lease since we began with the interface.
	leased bool

	// jobs run while there is carrier.
	connected  *job
	idleSince  time.Time // since when the link is up without carrier, zero if it is not
	confirmed  bool      // an address was confirmed since there is carrier
	statics    map[netip.Prefix]*staticAddr
	registered Registration
	checking   *job // of the registration

	linkLocal    netip.Addr // on the link, invalid for none
	linkLocalJob *job

	strangers   []netip.Prefix // what foreign returned the last time
	lostCarrier time.Time      // when there was none any more, or when we first looked
	originalMTU int            // before we changed it, 0 if we have not
	downSince   time.Time      // when somebody took the link down
	soliciting  *job           // nil if no router was asked since there is carrier
}

// attach begins with an interface that has come.
func (c *Configurator) attach(link Link) {
	c.config.Logger.Info("found the interface", "iface", link.Name, "mac", link.MAC, "mode", c.settings.Mode)
	a := &attachment{
		c: c, now: link, statics: make(map[netip.Prefix]*staticAddr), lostCarrier: time.Now(),
		ifi: &net.Interface{Index: link.Index, Name: link.Name, MTU: link.MTU, HardwareAddr: link.MAC.HardwareAddr()},
	}
	c.link, c.told = a, nameService{}
	if c.files.last.Link == link.Name {
		a.originalMTU = c.files.last.MTU
	}
	if !link.Carrier {
		c.lookAfter(carrierGrace) // to tell of it
	}
	a.resume()
	c.findOwner()
	if c.settings.Mode == ModeDHCP {
		a.dhcp = dhcp4.New(a.dhcpConfig())
	}
}

// resume finds what an earlier run has left on the link and what still holds.
func (a *attachment) resume() {
	has := func(prefix netip.Prefix, origin Origin) bool {
		return slices.ContainsFunc(a.now.Addrs, func(addr Addr) bool {
			return addr.Prefix == prefix && (addr.Protocol == int(origin) ||
				addr.Protocol == 0 && slices.Contains(a.c.files.last.Addrs, prefix))
		})
	}
	if a.c.settings.Mode == ModeDHCP && a.c.config.StateDir != "" {
		lease, err := dhcp4.FileStore(a.c.leasePath(a.now.Name)).Load()
		if err == nil && lease != nil && !lease.Expired() && has(lease.Prefix, FromLease) {
			a.lease = lease
		}
	}
	addr := a.c.files.last.LinkLocal
	if addr.IsValid() && has(netip.PrefixFrom(addr, linklocal.Prefix.Bits()), FromLinkLocal) {
		a.linkLocal = addr
	}
}

// upGrace is how long an interface that somebody took down is left alone.
const upGrace = 2 * time.Second

// follow takes in how the interface is now.
func (a *attachment) follow(link Link, snapshot *Snapshot) {
	wasUp, hadCarrier := a.now.Up, a.now.Carrier
	a.now = link
	if hadCarrier && !link.Carrier {
		a.lostCarrier = time.Now()
		a.c.lookAfter(carrierGrace) // to tell of it
	}
	if a.c.settings.Mode != ModeObserve && a.meddled(snapshot) {
		a.c.findOwner()
	}
	if !a.c.configures() {
		return
	}
	if !link.Up && wasUp {
		a.downSince = time.Now()
		a.c.lookAfter(upGrace)
	}
	if link.Up {
		a.downSince = time.Time{}
	}
	connected := link.Up && link.Carrier
	if link.Up && !link.Carrier && a.idleSince.IsZero() {
		a.idleSince = time.Now()
	}
	switch {
	case connected && a.connected == nil:
		a.connect()
	case !connected && a.connected != nil:
		a.c.config.Logger.Info("no carrier", "iface", link.Name)
		a.disconnect()
	}
	a.solicit()
}

// connect starts what runs while there is carrier.
func (a *attachment) connect() {
	a.c.config.Logger.Info("carrier", "iface", a.now.Name)
	a.confirmed = false
	defer func() { a.idleSince = time.Time{} }()
	var running []func(context.Context)
	if a.dhcp != nil {
		start := dhcp4.Fresh
		if !a.idleSince.IsZero() && time.Since(a.idleSince) > time.Second {
			start = dhcp4.Plugged
		}
		running = append(running, func(ctx context.Context) { a.runDHCP(ctx, start) })
	}
	if a.c.settings.Mode == ModeStatic {
		for _, prefix := range a.c.settings.Static.Addresses {
			if prefix.Addr().Is4() {
				running = append(running, func(ctx context.Context) { a.keepStatic(ctx, prefix) })
			}
		}
	}
	a.connected = a.c.start(func(ctx context.Context) {
		var all sync.WaitGroup
		defer all.Wait()
		for _, run := range running {
			all.Go(func() { run(ctx) })
		}
	})
}

// disconnect ends what runs while there is carrier. Addresses stay.
func (a *attachment) disconnect() {
	a.connected.stop()
	a.connected = nil
	a.linkLocalJob.stop()
	a.linkLocalJob = nil
	a.soliciting.stop()
	a.soliciting = nil
	a.checking.abandon()
	a.checking = nil
}

// wakeUp asks again for everything after the machine has slept. What is asked
// begins with the next look.
func (a *attachment) wakeUp(slept time.Duration) {
	a.c.config.Logger.Info("the machine has slept; asking whether the address still holds", "iface", a.now.Name, "for", slept)
	a.disconnect()
	if a.dhcp != nil {
		a.dhcp.Slept(slept)
		a.lease = a.dhcp.Status().Lease
	}
}

func (a *attachment) listenARP(addr netip.Addr) (acd.Conn, error) {
	return acd.Listen(a.ifi, addr)
}

// reconcileFor reconciles for the sake of one address, and fails only if it has
// not got to the link, whatever else failed.
func (a *attachment) reconcileFor(prefix netip.Prefix) error {
	err := a.c.reconcile()
	if err == nil {
		return nil
	}
	snapshot, observeErr := observe(a.c.kernel, "")
	if observeErr != nil {
		return err
	}
	link, _ := snapshot.LinkByIndex(a.now.Index)
	if slices.ContainsFunc(link.Addrs, func(addr Addr) bool { return addr.Prefix == prefix }) {
		return nil
	}
	return err
}

// desired is what the interface should be like now.
func (a *attachment) desired(observed *Snapshot, kept state) Desired {
	d := Desired{Link: a.now.Name, Index: a.now.Index, Recorded: kept.Addrs}
	if kept.Link != a.now.Name {
		d.Recorded = nil
	}
	d.Up = a.downSince.IsZero() || time.Since(a.downSince) >= upGrace
	if a.lease != nil && !a.lease.Expired() {
		d.addLease(a.lease, a.leaseMTU())
	}
	if a.c.settings.Mode == ModeStatic {
		link, _ := observed.LinkByIndex(a.now.Index)
		d.addStatic(a.c.settings.Static, a.usableStatics(link))
	}
	if a.linkLocal.IsValid() {
		d.addLinkLocal(a.linkLocal)
	}
	a.keepMTU(&d, observed)
	return d
}
