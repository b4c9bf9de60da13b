// Package store keeps what must survive in one SQLite file: logs of messages
// ([Log]) and small values by name ([Dict]).
//
// Everything is written by one goroutine, [Store.Run]. What arrives while it
// makes a transaction durable goes into the next one: nothing waits for a
// timer, and under load nothing is committed alone. Reads run beside it.
//
// Invariants:
//   - An append's or a put's callback is called without an error only after the
//     transaction that holds it was synced to the disk (WAL, synchronous=FULL).
//   - A channel's numbers grow, whatever is deleted, given up or restored.
//   - The callbacks come in the order of the numbers, from one goroutine.
//   - The database never takes more than [Config.MaxSize] on the disk.
//   - Nothing is written while nothing comes in.
package store
