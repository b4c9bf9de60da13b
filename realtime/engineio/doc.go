// Package engineio is the server's side of Engine.IO: sessions over HTTP
// long-polling and WebSocket, the upgrade from one to the other, heartbeats
// and flow control, in version 4 of the protocol and, if allowed, version 3.
// It knows nothing of Socket.IO.
//
// # For the layer above
//
// A Server is an http.Handler. For each session it asks the application for a
// Receiver, which takes the messages of that session in order, one at a time.
// Receiver.Message may block; that holds up its own session only. A Packet is
// made once and sent to any number of sockets; Socket.Send queues it and never
// blocks.
//
// What is sent to a socket from within its own Message, or between Cork and
// Uncork, leaves in one write, soon. For a broadcast, a Batch spares the
// hand-over of each receiver:
//
//	var b engineio.Batch // may be kept and used again
//	for _, s := range members {
//		s.Send(packet, engineio.SendOptions{Batch: &b})
//	}
//	b.Flush()
//
// # The way of a packet in
//
// websocket.go makes a WebSocket of a request. From then on it has neither
// goroutine nor buffer while nothing comes. When something does,
// watch_linux.go reads it on the goroutine that watches, and has others of the
// crew read what has come on other connections, or all if the application takes
// its time (conn.go, readArrived); connections without a descriptor, as those of
// TLS, keep a goroutine that waits (readLoop). internal/frame takes the bytes
// apart, wherever they were cut; wire reads the packet; Socket.packet gives a
// message to the Receiver, a heartbeat to heartbeat.go. What the Receiver leaves
// to Socket.Work is done by the goroutine that reads; if it takes long, another
// one reads on, and watches (conn.go, relieve). A POST (polling.go, servePost) is
// read whole, within limits of size and time, and goes the same way from wire on.
//
// # The way of a packet out
//
// NewPacket encodes the frames of version 4; other forms are encoded when the
// first receiver needs them, and kept. Socket.Send appends the packet to the
// queue (queue.go) and sees to it that somebody flushes: the goroutine that
// delivers messages to this socket or corks it, when it is done; else the
// batch; else a flusher (flushers.go): one goroutine for all sockets, so that
// frames gather while it is busy, with help when too many wait, and only while
// there is work. A flush takes all that is queued, makes one system call that
// does not wait (rawconn_linux.go), and if the kernel does not take everything
// leaves the rest to a goroutine that lives until the peer has caught up. For
// a polling session a flush answers the poll that waits (polling.go).
//
// # What goes ahead
//
// Node's ws hands out all frames of one read before a promise that waits for
// the first of them goes on. A client that awaits its CONNECT and then adds
// handlers loses what came in the same read; the official protocol suite does
// so. So packets that are sent with SendOptions.Ahead end the write that they
// are in, and what follows waits for headStart, or until the client says
// something. That takes a time in the socket and, only if something does follow,
// a place in the list of those to be flushed late (late.go): one timer for all.
// Polling has no such pause, as a client takes a payload as a whole.
//
// The answer to an upgrade (conn.head) leaves with the handshake, in one write.
// Only in version 3 it goes ahead as well, since the suite of that version awaits
// the opening of the WebSocket before it listens; that of version 4 listens at
// once, as all known clients do.
//
// # Key invariants
//
// A maintainer must not break these:
//
//   - Socket.mu is never held while something is written, while a Receiver or
//     a hook is called, or while a lock of this package other than those of
//     flushers, lateList, beats, watch or the crew is taken. Its order is
//     Socket.delivery, Socket.mu, then one of those.
//   - Whoever sets Socket.writing is the only one to touch the connection's
//     writing side until it clears it, and looks at the queue again before it
//     does: what is queued while somebody writes needs nobody else.
//   - Everything of the Receiver happens under Socket.delivery. Closed is
//     called by finish alone, which end starts once, when state leaves open;
//     deliveries look at state first. So Closed comes once, and last.
//   - A connection is closed by conn.shut alone, which first waits for the
//     system call that may be writing to its descriptor: the number may be
//     another connection's a moment later.
//   - The frames of a Packet are immutable and shared: a write that is cut
//     short keeps slices of them, and control frames go through the same queue,
//     so that nothing comes between the bytes of a frame or the parts of a
//     packet.
//   - A socket leaves polling for a WebSocket, never back, and only in adopt.
//     Until then everything, heartbeats included, is in the one queue, from
//     which it goes out by the one transport or the other.
//   - At most one goroutine reads from a connection: conn.attention says
//     whether one does, and conn.turn whether it still is the one that came
//     back from a Worker. What comes while it reads is noted, so that it looks
//     again. Its end is always the reader's to handle: whoever closes a
//     connection, or limits its time, goes by conn.close or watch.release,
//     which see to it that there is one.
//   - One goroutine watches. While it reads from a connection, epollSet.reading
//     says from which; whoever makes that nil starts the next one, and the other
//     ends when it comes back. Every reading is listed to be relieved (heard).
//   - Nothing runs while nothing happens: flushers, drains and all timers end
//     with their work, the watch with the last connection. A server needs no
//     Run.
package engineio
