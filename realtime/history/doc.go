// Package history keeps what passes through a namespace and gives it back.
//
// A [Log] keeps messages by channel (a room, a topic), numbers them, and
// answers "what came after number 41" and "what came in the last ten
// minutes". [Memory] is one that forgets at the end of the process; the
// appliance has another on SQLite. Both bound what they keep by a
// [Retention]: count, age and size.
//
// [Keep] puts a Log on a namespace: every broadcast to a room is kept, carries
// its number as last argument, and a client that lost its connection asks for
// what it missed:
//
//	log := history.NewMemory(history.Retention{Count: 1000, Age: time.Hour})
//	history.Keep(io.Of("/board"), history.Options{Log: log})
//
// A Log's methods may be called from any goroutine.
package history
