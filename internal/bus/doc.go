// Package bus passes values between programs: topics in levels, subscriptions
// with MQTT's wildcards, a retained last value, and a bounded history.
//
// A [Bus] knows nothing of how values come and go. [Bus.Serve] puts the verbs
// on a namespace of Socket.IO; a [Stream] carries messages to anything else.
//
// Invariants:
//   - Messages are numbered for the whole bus, and every subscriber receives
//     those that it gets in the order of their numbers.
//   - A subscription that asks for what it missed gets each message once: those
//     kept before it began, and then those that follow.
//   - Publishing never waits for a subscriber, nor for the disk; only the
//     callback of a persistent message does.
//   - Everything that strangers can make grow has a bound: topics, bytes kept,
//     bytes retained, subscriptions, and what waits for a slow stream.
//
// b.mu is the only lock that is held while another is taken: a stream's, the
// history's, or one of realtime's.
package bus
