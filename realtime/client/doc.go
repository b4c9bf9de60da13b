// Package client is a Socket.IO client: it speaks protocol 5 over Engine.IO 4,
// to the server of package realtime and to the official one (3 and 4).
//
// A [Client] is one connection, which it opens again whenever it is lost. Each
// namespace on it is a [Socket]. The words are those of the server's package:
//
//	c, err := client.New("http://localhost:8080", client.Options{})
//	chat := c.Of("/chat")
//	client.On(chat, "said", func(ctx context.Context, s *client.Socket, m Message) error { … })
//	chat.OnConnect(func(ctx context.Context, s *client.Socket) { s.Emit("join", "lobby") })
//	err = c.Run(ctx) // connects, and reconnects, until ctx ends
//
// and for a script that wants an answer and no more:
//
//	bus, err := client.Dial(ctx, "http://localhost:8080/bus", client.Options{})
//	defer bus.Close()
//	topics, err := client.Ask[[]string](ctx, bus, "topics")
//
// # Concurrency
//
//   - New starts nothing. [Client.Run] starts every goroutine and returns after
//     the last one has ended. [Client.Connect] and [Dial] run the client in a
//     goroutine of its own until [Client.Close].
//   - What came for one socket is handled in order, one at a time: OnConnect,
//     then events, then OnDisconnect. Sockets are handled in parallel.
//   - A handler may block, and ask the server with [Ask]; it holds up only the
//     events of its own socket. Those wait in memory: when more than
//     Options.Inbox bytes do, the connection is given up and made anew.
//   - Emit never blocks and may be called from anywhere, handlers included.
//   - Ask ends with the answer, with its context, or with the connection on
//     which it was asked. Its waiter is there before the packet is written.
//   - The context of a handler ends when the client closes.
//   - A panic in a handler is not recovered.
//
// # What is delivered
//
// What is emitted while there is no connection waits in memory (up to
// Options.Buffer bytes) and is sent on the next one, in order. What was on its
// way when a connection broke may be lost: Socket.IO delivers at most once.
// There are two ways to more:
//
//   - Options.Retries: every emit is repeated until the server acknowledges
//     it, one after another, over any number of connections, so that none is
//     lost with a connection and the order is kept. Only what a server that is
//     there leaves unanswered with all retries is given up, and OnError hears
//     of it. The server can see a packet twice; give each an id, and let it
//     drop those it knows.
//   - Connection state recovery, if the server has it: after a short absence
//     the socket has its id, rooms and missed events back, and
//     [Socket.Recovered] says so.
package client
