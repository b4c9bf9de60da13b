package engineio

import "sync/atomic"

// attention says whether somebody reads from a connection.
type attention struct{ atomic.Uint32 }

const (
	busy  uint32 = iota // somebody does, as from the beginning
	again               // and more has come meanwhile
	quiet               // nobody does, and who is told that something comes shall
)

// attend is called when something has come. It returns true if the caller must
// see to it that it is read.
func (a *attention) attend() bool {
	for {
		switch {
		case a.CompareAndSwap(quiet, busy):
			return true
		case a.CompareAndSwap(busy, again), a.Load() == again:
			return false
		}
	}
}

// rest is called by the one who reads when there is nothing left. It returns
// false if more has come.
func (a *attention) rest() bool {
	if a.CompareAndSwap(busy, quiet) {
		return true
	}
	a.Store(busy)
	return false
}
