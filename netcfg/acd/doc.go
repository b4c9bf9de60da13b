// Package acd finds and resolves conflicts about IPv4 addresses by ARP, as
// RFC 5227 has it: an address is probed before it is used, announced when it
// is, and defended while it is.
//
// [Guard] is the protocol, over any [Conn]; [Listen] is the Conn of a real
// link.
package acd
