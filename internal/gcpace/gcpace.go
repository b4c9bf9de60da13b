// Package gcpace sets the pace of Go's garbage collector for a server on a
// small board: rarely under load, thoroughly when the load is over.
//
// With the usual setting (GOGC=100) a server whose live heap is a few
// megabytes collects each time it has allocated another four: under load
// that is dozens of times a second, and the better part of its time; and when
// the load is over, what it has allocated last stays until the next
// collection, minutes later. Here collections that follow each other quickly
// raise the goal by a bounded amount of memory, and the first quiet second
// brings it down again, collects, and returns what is free to the system.
package gcpace

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// busy is the time between two collections below which they cost more
	// than the memory is worth.
	busy = 250 * time.Millisecond
	// quiet is how long there is no collection, and little to collect, when the
	// load is over.
	quiet = time.Second
	// headroom is what may be allocated between two collections under load.
	headroom = 16 << 20
	// calmPercent is the setting without load: little garbage is kept.
	calmPercent = 50
	// maxPercent is for a tiny live heap: the runtime lets each heap grow to
	// that part of 4 MB.
	maxPercent = 100 * headroom / (4 << 20)
)

// pace is the state of one process.
type pace struct {
	mu      sync.Mutex // guards all following
	last    time.Time  // of the last collection
	then    uint64     // what had been allocated by then
	raised  bool
	settle  *time.Timer
	stopped bool
	before  int // the setting that stop brings back
}

// Start sets the pace from then on, until stop is called. It is meant for the
// main function: the setting is the process's.
func Start() (stop func()) {
	p := &pace{last: time.Now(), before: debug.SetGCPercent(calmPercent)}
	p.settle = time.AfterFunc(quiet, p.quiet)
	p.settle.Stop()
	p.watch()
	return p.stop
}

// sentinel is garbage at once: its finalizer tells of the next collection.
type sentinel struct{ _ [32]byte }

func (p *pace) watch() {
	runtime.SetFinalizer(new(sentinel), func(*sentinel) { p.collected() })
}

// collected is called after each collection.
func (p *pace) collected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	now := time.Now()
	if now.Sub(p.last) < busy {
		p.raised = true
	}
	p.last = now
	if p.raised {
		p.then = allocated()
		debug.SetGCPercent(percent(basis()))
		p.settle.Reset(quiet)
	}
	p.watch()
}

// percent is the setting that allows headroom over its basis.
func percent(basis uint64) int {
	if basis == 0 {
		return maxPercent
	}
	return int(min(max(100*headroom/basis, calmPercent), maxPercent))
}

// basis is what the setting is a percentage of: what the last collection found
// alive, stacks and globals included.
func basis() (sum uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		sum += s.Value.Uint64()
	}
	return sum
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// quiet is called when there has been no collection for a while.
func (p *pace) quiet() {
	p.mu.Lock()
	if p.stopped || !p.raised {
		p.mu.Unlock()
		return
	}
	if now := allocated(); now-p.then > headroom/8 {
		p.then = now // there will be a collection, but later
		p.settle.Reset(quiet)
		p.mu.Unlock()
		return
	}
	p.raised = false
	p.last = time.Now().Add(-busy) // the collection that follows is ours
	debug.SetGCPercent(calmPercent)
	p.mu.Unlock()
	debug.FreeOSMemory()
}

func (p *pace) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.settle.Stop()
	debug.SetGCPercent(p.before)
}
