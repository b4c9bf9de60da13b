package engineio

import (
	"runtime"
	"sync"
)

// inlineFlush is the size of a batch up to which its sockets are written by
// whoever flushes it: sooner done than handed over.
const inlineFlush = 32

// Batch collects sockets that have something to write. The zero value is
// ready; a Batch may be used again after Flush. It is not safe for concurrent
// use.
type Batch struct{ sockets []*Socket }

// Flush sees to it that what was sent with the batch is written: at once if
// it is for a few sockets, by a flusher of the server if it is for many. It does
// not block.
func (b *Batch) Flush() {
	if len(b.sockets) == 0 {
		return
	}
	if len(b.sockets) <= inlineFlush {
		sc := takeScratch()
		for _, s := range b.sockets {
			s.flush(sc)
		}
		sc.release()
	} else {
		b.sockets[0].server.flushers.add(b.sockets...)
	}
	clear(b.sockets)
	b.sockets = b.sockets[:0]
}

// flushers write on behalf of those who must not or should not. There is one
// goroutine as long as that is enough: the longer the queue, the more frames
// gather for each socket and leave in one write, which is what costs; two that
// share the work write twice as often. Others help with what would take one
// too long. None runs while there is nothing to do.
type flushers struct {
	mu      sync.Mutex // guards all following
	waiting []*Socket  // those before first are done with
	first   int
	running int
}

const (
	// flushCrowd is how many sockets may wait for one flusher: what it writes
	// in some 10 ms.
	flushCrowd = 2048
	// flushRun is how many a flusher takes at once.
	flushRun = 64
)

func (f *flushers) add(sockets ...*Socket) {
	f.mu.Lock()
	if f.first > len(f.waiting)/2 { // those before it are no more than are moved
		n := copy(f.waiting, f.waiting[f.first:])
		clear(f.waiting[n:])
		f.waiting, f.first = f.waiting[:n], 0
	}
	f.waiting = append(f.waiting, sockets...)
	start := f.running == 0 || len(f.waiting)-f.first > f.running*flushCrowd && f.running < runtime.GOMAXPROCS(0)
	if start {
		f.running++
	}
	f.mu.Unlock()
	if start {
		go f.run()
	}
}

func (f *flushers) run() {
	sc := takeScratch()
	defer sc.release()
	var run [flushRun]*Socket
	for {
		n := f.take(run[:])
		if n == 0 {
			return
		}
		for _, s := range run[:n] {
			s.flush(sc)
		}
	}
}

// take moves the sockets that have waited longest to dst. If there are none,
// the caller counts as running no more.
func (f *flushers) take(dst []*Socket) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(dst, f.waiting[f.first:])
	clear(f.waiting[f.first : f.first+n])
	f.first += n
	if f.first == len(f.waiting) {
		f.waiting, f.first = f.waiting[:0], 0
	}
	if n == 0 {
		f.running--
		if f.running == 0 && cap(f.waiting) > flushCrowd {
			f.waiting = nil
		}
	}
	return n
}
