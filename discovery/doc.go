// Package discovery makes a host and its services found in the local network
// without any configuration: a responder for multicast DNS (RFC 6762) and
// DNS-based service discovery (RFC 6763).
//
//	r, err := discovery.New(discovery.Config{
//		Name:     "server22", // found as server22.local
//		Services: []discovery.Service{{Instance: "My Web", Type: "_http._tcp", Port: 80}},
//		Store:    discovery.NewFileStore("/var/lib/server22/names.json"),
//	})
//	…
//	r.SetInterfaces(interfaces) // now and whenever they change
//	err = r.Run(ctx)            // until the context ends; then says goodbye
//
// Which interfaces there are, with which addresses, comes in as data, from
// whatever watches the network; [SystemInterfaces] reads them once. What became
// of each name, and who else wants it, goes out by [Responder.Watch].
//
// # How it works
//
// Every interface is up to two links, one for each address family. On each link
// every unique name (the host's, those of aliases and of instances of services)
// is a claim, which goes from waiting through probing to held (RFC 6762 §8).
// Names are the same on all links: if another host holds one on any of them,
// all go on to the next, server22-2, which a [Store] remembers; the configured
// one is tried again from time to time, and when its holder says goodbye.
//
// One goroutine owns all that state and does one thing after the other: a
// packet, a deadline, a change of what is wanted. One more for each socket
// reads, and waits until its packet is done with.
//
// # Invariants
//
// Nothing is told of a name that is not held on the link. A record with the
// cache-flush bit is told with all others of its set, or within the second that
// caches allow for the rest (§10.2). A record is multicast once a second at
// most, in whatever section, and once in 250 ms to defend a name (§6). On a
// link only the addresses of its interface are told (§6.2, §14). Nothing is
// kept for a stranger without a limit. An idle responder has no timer running.
package discovery
