// Package memory has large messages use the same memory one after the other:
// to make new memory for each, and to collect it, costs more than all else
// that happens to them.
package memory

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Less than Min costs the garbage collector little, and more than most is
// rare: it would stay in memory for nothing.
const (
	minBits  = 14
	mostBits = 20

	Min  = 1 << minBits
	most = 1 << mostBits
)

// pools keep memory in sizes that are a quarter of a power of two apart, so
// that what nobody gives back wastes little.
var pools [(mostBits-minBits)*4 + 1]sync.Pool

// class returns which pool has memory for n bytes, Min to most, and how much.
func class(n int) (pool, size int) {
	shift := bits.Len(uint(n-1)) - 3 // of a quarter of the power of two below n
	quarters := (n - 1) >> shift     // 4 to 7
	return (shift-minBits+2)*4 + quarters - 3, (quarters + 1) << shift
}

// Make returns an empty slice with room for n bytes. What was in them is
// somebody else's.
func Make(n int) []byte {
	if n < Min || n > most {
		return make([]byte, 0, n)
	}
	i, size := class(n)
	if b, ok := pools[i].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, size)
}

// Clone returns a copy of b in memory from Make.
func Clone(b []byte) []byte { return append(Make(len(b)), b...) }

// give gives back memory that nobody uses.
func give(b *[]byte) {
	if n := cap(*b); n >= Min && n <= most {
		if i, size := class(n); size == n {
			pools[i].Put(b)
		}
	}
}

// Lease is the right to use memory from Make, which is used again when nobody
// holds it any more. Who keeps the memory without holding it need only never
// release: the garbage collector takes it then. It is safe for concurrent use.
type Lease struct {
	holders atomic.Int32
	memory  []byte
}

// Lend returns a lease of b with one holder.
func Lend(b []byte) *Lease {
	l := &Lease{memory: b}
	l.holders.Store(1)
	return l
}

// Hold counts one more holder. It returns false if the last one has gone.
func (l *Lease) Hold() bool {
	for {
		n := l.holders.Load()
		if n == 0 {
			return false
		}
		if l.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release counts one holder less. After the last, the memory is used again.
func (l *Lease) Release() {
	if l.holders.Add(-1) == 0 {
		give(&l.memory)
	}
}
