// Package browse finds services that others announce by DNS-SD (RFC 6763) over
// multicast DNS.
//
// It asks from a port of its own, as a one-shot querier (RFC 6762 §5.1): every
// responder answers that by unicast, so that it works beside any responder on
// the same host, and without one.
package browse
