// Package netcfg observes and configures the network of a Linux host.
//
// Observing needs no privilege: a [Watcher] turns the kernel's events into
// versioned snapshots of links, addresses, routes and the resolver file, and an
// [OwnerFinder] tells which program configures a link, and how an administrator
// would hand it over.
package netcfg
