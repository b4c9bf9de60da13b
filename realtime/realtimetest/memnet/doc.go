// Package memnet is a network in memory: a [Listener] whose connections are
// made by its DialContext. It needs no ports, and since it blocks on channels
// only, it works within testing/synctest.
//
// Unlike those of [net.Pipe], its connections have buffers, as those of TCP
// do: a peer that is writing need not wait until the other one reads.
package memnet
