package engineio

import (
	"slices"
	"sync"
)

// item is a packet in the queue of one socket.
type item struct {
	packet   *Packet
	volatile bool
	plain    bool // not to be compressed
	ahead    bool // what follows waits a little
}

// spillItems is the size of the blocks that a queue borrows when more than a
// few packets wait.
const spillItems = 64

var spills = sync.Pool{New: func() any { return new([spillItems]item) }}

// sendQueue holds what waits to be written to one socket, within the socket as
// long as it is short, so that an idle socket keeps no memory for it.
type sendQueue struct {
	queue    []item
	queued   int // bytes in queue
	inFlight int // bytes taken from the queue that the peer's connection does not accept yet
	inline   [2]item
	spill    *[spillItems]item
}

// fits says whether the queue may grow by p.
func (q *sendQueue) fits(p *Packet, limit int) bool {
	waiting := q.queued + q.inFlight
	return waiting == 0 || waiting+p.size <= limit
}

func (q *sendQueue) push(it item) {
	switch {
	case q.queue == nil:
		q.queue = q.inline[:0]
	case len(q.queue) == len(q.inline) && q.spill == nil:
		q.spill = spills.Get().(*[spillItems]item)
		q.queue = append(q.spill[:0], q.queue...)
		q.inline = [len(q.inline)]item{}
	}
	q.queue = append(q.queue, it)
	q.queued += it.packet.size
}

// takeBack removes the last packet if it is p.
func (q *sendQueue) takeBack(p *Packet) {
	last := len(q.queue) - 1
	if last < 0 || q.queue[last].packet != p {
		return
	}
	q.queue[last] = item{}
	q.queue = q.queue[:last]
	q.queued -= p.size
}

// take moves what may be written together to dst: all that is queued, or all
// up to a packet that goes ahead.
func (q *sendQueue) take(dst []item) []item {
	n := len(q.queue)
	if i := slices.IndexFunc(q.queue, func(it item) bool { return it.ahead }); i >= 0 {
		n = i + 1
	}
	dst = append(dst, q.queue[:n]...)
	if n == len(q.queue) {
		q.clear()
		return dst
	}
	for _, it := range q.queue[:n] {
		q.queued -= it.packet.size
	}
	q.queue = slices.Delete(q.queue, 0, n)
	return dst
}

// clear empties the queue and returns what it has borrowed.
func (q *sendQueue) clear() {
	clear(q.queue)
	if q.spill != nil {
		clear(q.spill[:]) // queue has left it if it grew larger
		spills.Put(q.spill)
		q.spill = nil
	}
	q.queue, q.queued = nil, 0
}

// purgeVolatile takes the volatile packets out of the queue.
func (q *sendQueue) purgeVolatile() (purged []*Packet) {
	kept := q.queue[:0]
	for _, it := range q.queue {
		if it.volatile {
			purged = append(purged, it.packet)
			q.queued -= it.packet.size
		} else {
			kept = append(kept, it)
		}
	}
	clear(q.queue[len(kept):])
	q.queue = kept
	return purged
}
