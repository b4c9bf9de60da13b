// Package discovery makes a host and its services found in the local network,
// without any configuration, by multicast DNS (RFC 6762) and DNS-based service
// discovery (RFC 6763).
package discovery
