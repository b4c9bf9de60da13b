// Package realtime is a Socket.IO server: it speaks protocol 5 over Engine.IO
// 4 with any client of Socket.IO 3 and 4, and protocol 4 over Engine.IO 3 with
// those of Socket.IO 1 and 2 where Options.Engine.AllowEIO3 is set.
//
//	io := realtime.New(realtime.Options{})
//	realtime.On(io, "chat message", func(ctx context.Context, s *realtime.Socket, text string) error {
//		return io.Emit("chat message", text)
//	})
//	http.Handle("/socket.io/", io)
//
// # The way of a packet
//
// In: engineio takes messages off a connection and gives them, in order, to
// conn, which puts packets together (package packet), finds the socket of the
// packet's namespace, and puts events into the socket's inbox. The goroutine
// that brought the first of them works the inbox off and runs middlewares and
// handlers; what they emit to their own socket leaves together when it is
// done, or after a few milliseconds, and then another goroutine goes on to
// read. Acknowledgements do not pass the inbox, so that a handler may wait for
// one.
//
// Out: Emit makes a packet of Go values, once. The adapter chooses receivers,
// and each gets the packet in its parser's form, encoded once, into the send
// queue of its connection, where engineio writes it from. Nothing waits for a
// receiver: one whose queue is full is disconnected, or loses what is
// volatile.
//
// # Rules
//
//   - Callbacks of one socket (middlewares, OnConnect, handlers, OnDisconnect)
//     run in the order of what caused them, one at a time. Those of different
//     sockets run at the same time, also when the sockets belong to one client.
//   - A handler may block. It holds up the events of its own socket and nothing
//     else; when Options.Backlog of them wait, its connection is not read from
//     until it is done. Its context ends with the socket.
//   - OnConnect returns before the first event is handled.
//   - Emit, on a socket or a broadcast, never blocks, and may be called from
//     anywhere. What one goroutine emits arrives in that order.
//   - Who waits for an acknowledgement is always released: by it, by the
//     context, by the end of the socket, or because it cannot be read
//     (ErrOverrun).
//   - A panic in a callback is logged and ends its socket only.
//   - What puts a function somewhere (On, Use, OnConnect, …) returns what takes
//     it out again. A call that has begun goes on.
//   - OnDisconnect runs for the sockets for which OnConnect has run.
//   - Bytes that come from or go to clients are shared, not copied: a []byte
//     in an argument is read-only, on the way in and on the way out.
package realtime
