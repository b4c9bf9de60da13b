// Package llmnr answers for a bare name, without a domain, by Link-Local
// Multicast Name Resolution (RFC 4795): what Windows and systemd-resolved ask
// for a single label such as server22.
//
//	r, err := llmnr.New(llmnr.Config{Name: "server22", Interfaces: interfaces})
//	…
//	err = r.Run(ctx) // until the context ends
//
// Each interface in each address family is a link with a life of its own: the
// name is checked for uniqueness there (§4.1), answered as tentative meanwhile,
// and not at all where another host has it; [State] tells which.
//
// # Invariants
//
// Only addresses of the interface on which the question came are told, only to
// hosts on that link, and only by unicast. Nothing but our own name and the
// names of our addresses is answered: silence about everything else, whatever
// it is.
package llmnr
