// Package engineio is the server's side of Engine.IO: sessions over HTTP
// long-polling and WebSocket, the upgrade from one to the other, heartbeats
// and flow control, in version 4 of the protocol and, if allowed, version 3.
// It knows nothing of Socket.IO.
//
// # For the layer above
//
// Receiver.Message runs on the goroutine that reads the connection; it may
// block, which holds up its own socket only. What is sent to that same socket
// meanwhile leaves in one write when all that had arrived was handled (or
// after 5 ms, if a handler takes long). What is sent to others leaves at once:
// a Batch spares the hand-over when there are several of them.
//
//	var b engineio.Batch // may be kept and used again
//	for _, s := range members {
//		s.Send(packet, engineio.SendOptions{Batch: &b})
//	}
//	b.Flush()
//
// A Packet is made once and sent to any number of sockets.
package engineio
