// Package udp opens the sockets of multicast DNS (RFC 6762): bound to a group or
// to one address of the host, which the net package cannot, on a port that is
// shared with others, with a TTL of 255.
package udp
