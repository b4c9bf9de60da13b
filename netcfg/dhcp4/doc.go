// Package dhcp4 is a DHCP client for IPv4 (RFC 2131) that checks an address for
// conflicts before it uses it (RFC 5227) and takes about a quarter of a second
// for all of it.
//
// A [Client] is an actor: each state of RFC 2131 §4.4 is a function that waits
// for messages, timers, conflicts and commands, and returns the next state. It
// talks to the link through [Conn] and puts leases on it through Config.Bind,
// so that it runs under testing/synctest as well as on a cable.
//
// # Key invariants
//
// Servers are heard on a packet socket in every state: a broadcast NAK ends a
// lease at once, whatever the link's address is.
//
// An address is on the link only after a conflict check, and is taken off only
// by a NAK, a conflict, a release, or the end of its lease; silence of servers
// and loss of carrier take nothing away.
//
// No message counts unless it is for our hardware address and transaction, and
// names its type and server; while one server is spoken to, another's answers
// do not count.
//
// Text from a server is a valid name, or it is not kept.
package dhcp4
