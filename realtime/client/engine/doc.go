// Package engine is the client side of Engine.IO 4: a message connection over
// HTTP long-polling or WebSocket that can move from the one to the other while
// messages flow. It knows nothing of Socket.IO, and nothing of reconnecting:
// both are package client's.
//
// # The way of a message
//
// Out: [Conn.Send] puts the message into a bounded queue and returns. The
// writer takes everything that waits and hands it to the transport as one
// batch: one POST, or one write of several WebSocket frames.
//
// In: the reader asks the transport for the next batch (one GET, or one
// frame), answers pings, and gives messages to the [Receiver].
//
// # Key invariants
//
//   - [Conn.Run] starts every goroutine of a connection and returns only after
//     the last one has ended.
//   - One reader and one writer: messages keep their order in both directions.
//   - During an upgrade both of them rest between two batches before the
//     transport changes, so nothing is on the old one when the new one starts.
//   - Nothing blocks Send; what does not fit is refused with an error.
//   - A server that is silent for pingInterval+pingTimeout is gone.
package engine
