// Package browse finds services that others announce by DNS-SD (RFC 6763) over
// multicast DNS.
//
// It asks in two ways at once, and puts what both hear into one catalog:
//
//   - From ports of its own, one for each interface, as a one-shot querier (RFC
//     6762 §5.1). Every responder answers that by unicast, so that it works
//     beside any responder on the same host, tells what was found on which
//     interface, and asks again for what a packet leaves out.
//   - With github.com/grandcat/zeroconf, from port 5353. That hears what is
//     multicast only: by responders that do not know one-shot queries, and past
//     firewalls that let in nothing but port 5353.
//
// Zeroconf alone finds less: it forgets every packet before the next, so that a
// service whose address comes later is lost; it never corrects what it has told;
// it compares names by case, leaves them escaped, blocks for ever on a channel
// that nobody reads, and cannot tell interfaces apart. The wrapper here repairs
// what can be repaired from outside. Its Register is never used: our responder
// would give each question a second answer.
//
// A [Browser] goes on instead: it asks less and less often, keeps what it hears
// for as long as that is said to be true, has it confirmed before its time is
// over, and tells what has changed. Zeroconf has nothing of the kind.
//
// [Seen] is zeroconf alone, as a second opinion that shares no code with our
// responder: whether it is heard at all.
package browse
