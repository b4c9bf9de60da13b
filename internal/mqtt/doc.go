// Package mqtt lets MQTT clients (OASIS standard 5, 3.1.1 and 3.1) onto the
// data bus, over TCP: what they publish, browsers, scripts and Socket.IO
// clients receive, and the other way round. Values mean the same as everywhere:
// a payload that is JSON is that value, other text a string, the rest bytes.
//
// The protocol is spoken by mochi-mqtt, of which the hooks and one connection
// at a time are used. What it would keep and pass on by itself is left to the
// bus, which numbers, bounds and retains: a [bus.Stream] for each client says
// what goes out to it. Mochi's own delivery counts what waits for a slow client
// in messages, not in bytes, and lets one that does not acknowledge hold up all.
//
// Invariants:
//   - What a client publishes is on the bus once, and acknowledged only then;
//     what the bus refuses is not acknowledged as taken.
//   - What is on the bus goes to each client once, however many of its
//     subscriptions match.
//   - A client that does not read, or sends what cannot be parsed, ends alone.
//
// Deliberately left out, and told to clients as the standard has it:
//   - Sessions end with their connection; CONNACK says that there was none.
//     What a client missed is on the bus's other ways in, by since.
//   - Messages go out with QoS 0, which SUBACK grants. They come in with any:
//     an acknowledgement says that the bus has the message and has passed it
//     on, not that it is on the disk.
//   - Shared subscriptions and topic aliases. The properties of MQTT 5 that
//     come with a message end here: the bus carries values.
package mqtt
