// Package netcfg observes and configures the network of a Linux host.
//
// Observing needs no privilege: a [Watcher] turns the kernel's events into
// versioned snapshots of links, addresses, routes and the resolver file, and an
// [OwnerFinder] tells which program configures a link, and how an administrator
// would hand it over.
//
// Configuring takes NET_ADMIN and NET_RAW, and NET_BIND_SERVICE to unicast DHCP
// renewals; it needs no root. A [Configurator] keeps one interface as its
// [Settings] want it: by DHCP, with static addresses, and with link-local ones
// where there is nothing else.
//
//	c, err := netcfg.New(netcfg.Config{Settings: netcfg.Settings{Mode: netcfg.ModeDHCP}, Hostname: "server22"})
//	snapshots := c.Watcher().Subscribe()
//	err = c.Run(ctx)
//
// # How it works
//
// Whatever happens (an event of the kernel, a lease, a conflict, a minute
// passed) ends in the same few steps: the desired state is put together from
// what is known, [Plan] compares it with a fresh dump, and [Apply] makes the
// difference. There is no other way to the kernel, so that what others delete
// comes back, and a second look at the same state writes nothing.
//
// # Key invariants
//
// What is not marked as ours (by route protocol and IFA_PROTO 0xA0 to 0xA2) is
// never changed or removed, except an interface's MTU and its being up.
//
// Where another program configures the interface, or a DHCP client of somebody
// else has left its mark, nothing is changed at all.
//
// An event is a hint, never a fact: the state is always read whole.
//
// Only the loop of Run touches the fields of [Configurator] that have no lock;
// jobs beside it come back by do.
//
// The state file is written before the kernel is changed, so that a crash in
// between leaves something that is known.
package netcfg
