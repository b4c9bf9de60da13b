package netcfg

import (
	"context"
	"errors"
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

	// jobs run while there is carrier.
	connected  *job
	idleSince  time.Time // since when the link is up without carrier, zero if it is not
	confirmed  bool      // an address was confirmed since there is carrier
	statics    map[netip.Prefix]*staticAddr
	registered Registration
	checking   *job // of the registration

	linkLocal    netip.Addr // on the link, invalid for none
	linkLocalJob *job

	originalMTU int       // before we changed it, 0 if we have not
	downSince   time.Time // when somebody took the link down
	soliciting  *job      // nil if no router was asked since there is carrier
}

// staticAddr is the conflict check of one configured address.
type staticAddr struct {
	free     bool
	conflict *acd.Conflict // who has it, nil if nobody
}

// attach begins with an interface that has come.
func (c *Configurator) attach(link Link) {
	c.config.Log.Info("found the interface", "iface", link.Name, "mac", link.MAC, "mode", c.settings.Mode)
	a := &attachment{
		c: c, now: link, statics: make(map[netip.Prefix]*staticAddr),
		ifi: &net.Interface{Index: link.Index, Name: link.Name, MTU: link.MTU, HardwareAddr: link.MAC.HardwareAddr()},
	}
	c.link = a
	c.findOwner()
	if c.files.last.Link == link.Name {
		a.originalMTU = c.files.last.MTU
	}
	a.resume()
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

// findOwner looks who else configures the interface, and lets go of it if
// somebody does.
func (c *Configurator) findOwner() {
	a := c.link
	if a == nil {
		return
	}
	owner, owned := c.config.Owners.Find(c.jobs, c.watcher.Latest(), a.now)
	switch {
	case !owned && a.owner != nil:
		c.config.Log.Info("nobody else configures the interface any more", "iface", a.now.Name)
		a.owner = nil
	case owned && a.owner == nil:
		a.yield(owner)
	}
}

// yield leaves the interface to its owner. A leased address stays until it
// expires: the owner may well have been given the same one. The rest of what is
// ours goes, lest it contradict the owner.
func (a *attachment) yield(owner Owner) {
	a.owner = &owner
	if a.c.settings.Mode == ModeObserve {
		return
	}
	a.stop()
	a.c.letGo(a)
	a.lease, a.linkLocal, a.confirmed = nil, netip.Addr{}, false
	a.c.config.Log.Warn("another program configures the interface; only observing it",
		"iface", a.now.Name, "owner", owner.Name, "evidence", owner.Evidence, "hand_over", owner.HandOver)
}

// upGrace is how long an interface that somebody took down is left alone.
const upGrace = 2 * time.Second

// follow takes in how the interface is now.
func (a *attachment) follow(link Link, snapshot *Snapshot) {
	wasUp := a.now.Up
	a.now = link
	if a.owner == nil && a.c.settings.Mode != ModeObserve {
		if name, evidence := a.c.config.Owners.dhcpClient(a.c.jobs, snapshot, link); name != "" {
			a.yield(Owner{Name: name, Evidence: evidence, HandOver: handOver(name, link.Name)})
		}
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
		a.c.config.Log.Info("no carrier", "iface", link.Name)
		a.disconnect()
	}
	a.solicit()
}

// connect starts what runs while there is carrier.
func (a *attachment) connect() {
	a.c.config.Log.Info("carrier", "iface", a.now.Name)
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

// stop ends everything; addresses stay.
func (a *attachment) stop() { a.disconnect() }

func (a *attachment) runDHCP(ctx context.Context, start dhcp4.Start) {
	for ctx.Err() == nil {
		if err := a.dhcp.Run(ctx, start); err != nil {
			a.c.config.Log.Warn("the DHCP client failed; starting it again", "iface", a.ifi.Name, "err", err)
			sleep(ctx, 10*time.Second)
		}
	}
}

func (a *attachment) dhcpConfig() dhcp4.Config {
	id, _ := dhcp4.ClientID(a.c.settings.ClientID, a.now.MAC) // validated by New
	config := dhcp4.Config{
		MAC: a.now.MAC, ClientID: id, Hostname: a.c.config.Hostname, InUse: a.lease, Discover: a.c.renamed,
		Log:       a.c.config.Log.With("iface", a.now.Name),
		Listen:    func(ctx context.Context) (dhcp4.Conn, error) { return dhcp4.Listen(ctx, a.ifi) },
		ListenARP: a.listenARP,
		Neighbour: a.neighbour,
		Bind:      a.bindLease,
	}
	if a.c.config.StateDir != "" {
		config.Store = dhcp4.FileStore(a.c.leasePath(a.now.Name))
	}
	return config
}

func (a *attachment) listenARP(addr netip.Addr) (acd.Conn, error) {
	return acd.Listen(a.ifi, addr)
}

func (a *attachment) neighbour(ctx context.Context, from, router netip.Addr) (string, error) {
	mac, err := acd.Resolve(ctx, a.ifi, from, router)
	return MAC(mac).String(), err
}

// bindLease is called by the DHCP client.
func (a *attachment) bindLease(ctx context.Context, lease *dhcp4.Lease) error {
	return a.c.do(ctx, func() error {
		news := lease == nil || a.lease == nil || lease.Prefix != a.lease.Prefix || !a.confirmed
		a.lease, a.confirmed = lease, lease != nil
		if news {
			a.checkRegistration(lease)
		}
		if lease == nil {
			return a.c.reconcile()
		}
		return a.reconcileFor(lease.Prefix)
	})
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

const (
	// fallbackWait is how long carrier is without an address before a link-local
	// one is claimed.
	fallbackWait = 5 * time.Second
	// staticRetry is how often an address that another host has is tried again.
	staticRetry = 15 * time.Second
)

// keepStatic checks a configured address, uses it, and defends it, for as long
// as there is carrier.
func (a *attachment) keepStatic(ctx context.Context, prefix netip.Prefix) {
	for ctx.Err() == nil {
		err := a.holdStatic(ctx, prefix)
		if conflict, ok := errors.AsType[*acd.Conflict](err); ok {
			_ = a.setStatic(ctx, prefix, staticAddr{conflict: conflict})
		}
		if err != nil && ctx.Err() == nil {
			a.c.config.Log.Warn("cannot use a configured address; will try again", "iface", a.ifi.Name, "addr", prefix, "err", err)
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
		Conn: conn, MAC: acd.MAC(a.ifi.HardwareAddr), Addr: prefix.Addr(), Timing: acd.Quick, Policy: acd.DefendAlways, Log: a.c.config.Log,
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
			MAC: a.now.MAC, First: a.c.files.last.LinkLocal, Listen: a.listenARP, Bind: a.bindLinkLocal, Log: a.c.config.Log,
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

func (a *attachment) leaseMTU() int {
	if a.c.settings.IgnoreMTU {
		return 0
	}
	return a.lease.MTU
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

// keepMTU remembers the MTU before the first change, and wants it back when
// nobody wants another any more.
func (a *attachment) keepMTU(d *Desired, observed *Snapshot) {
	link, _ := observed.LinkByIndex(a.now.Index)
	switch {
	case d.MTU != 0 && d.MTU != link.MTU && a.originalMTU == 0:
		a.originalMTU = link.MTU
	case d.MTU == 0 && a.originalMTU != 0:
		d.MTU = a.originalMTU
		if link.MTU == a.originalMTU {
			a.originalMTU = 0
		}
	}
}

// nameService is what the resolver file should say.
func (a *attachment) nameService() (n nameService) {
	if a.c.settings.Mode == ModeStatic {
		n.add(a.c.settings.Static.DNS, a.c.settings.Static.Search)
	}
	if a.lease != nil {
		search := a.lease.Search
		if len(search) == 0 && a.lease.Domain != "" {
			search = []string{a.lease.Domain}
		}
		n.add(a.lease.DNS, search)
	}
	n.add(a.now.RouterDNS.Servers, a.now.RouterDNS.Search)
	return n
}
