// Package history keeps what passes through a namespace and gives it back.
//
// A [Log] keeps messages by channel (a room, a topic), numbers them, and
// answers "what came after number 41" and "what came in the last ten
// minutes". [Memory] is one that forgets at the end of the process; the
// appliance has another on SQLite. Both bound what they keep by a
// [Retention]: count, age and size.
//
// [Keep] puts a Log on a namespace: every broadcast to a room is stored, and
// carries its number as last argument; a client that lost its connection says
// the last one that it has seen, and gets what it missed, once:
//
//	log := history.NewMemory(history.Retention{Count: 1000, Age: time.Hour}, 16<<20)
//	board := history.Keep(ctx, io.Of("/board"), history.Options{Log: log})
//	realtime.On2(io.Of("/board"), "join", func(ctx context.Context, s *realtime.Socket, room string, since history.Since) error {
//		_, err := board.Join(ctx, s, room, since)
//		return err
//	})
//
// [Keeper] is what it is made of, for those who store something else than
// events.
//
// A Log's methods may be called from any goroutine.
package history
