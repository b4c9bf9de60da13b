package engine

import (
	"sync"

	"server22.local/appliance/realtime/engineio/wire"
)

// maxSpare is the longest list that is kept for reuse after a burst.
const maxSpare = 1024

// queue holds what waits to be written. The writer is its only consumer.
type queue struct {
	limit int
	wake  chan struct{} // holds one token while the writer has a reason to look

	mu      sync.Mutex // guards all following fields
	waiting []wire.Packet
	bytes   int
	writing bool            // the writer holds a batch that is not yet written
	closing bool            // nothing is taken any more; what waits is written
	flushes []chan struct{} // to be closed when all is written
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, wake: make(chan struct{}, 1)}
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// push queues the parts in one piece.
func (q *queue) push(o SendOptions, parts []Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for _, part := range parts {
		size += len(part.Data)
	}
	switch {
	case q.closing:
		return ErrClosed
	case o.Volatile && (q.writing || len(q.waiting) > 0):
		return ErrNotWritable
	case !o.Accepted && q.bytes > 0 && q.bytes+size > q.limit:
		return ErrQueueFull
	}
	for _, part := range parts {
		q.waiting = append(q.waiting, wire.Packet{Type: wire.Message, Data: part.Data, Binary: part.Binary})
	}
	q.bytes += size
	q.nudge()
	return nil
}

// pushControl queues a packet that no limit holds back.
func (q *queue) pushControl(p wire.Packet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, p)
	q.nudge()
}

// take returns everything that waits, reusing spare for what comes next. done
// is true once the queue is closing and nothing is left.
func (q *queue) take(spare []wire.Packet) (batch []wire.Packet, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = len(q.waiting) > 0
	if !q.writing {
		for _, flushed := range q.flushes {
			close(flushed)
		}
		q.flushes = nil
	}
	batch = q.waiting
	clear(spare) // lets go of the messages that were written
	q.waiting = nil
	if cap(spare) <= maxSpare {
		q.waiting = spare[:0]
	}
	q.bytes = 0
	return batch, len(batch) == 0 && q.closing
}

// written says that the batch last taken is on its way.
func (q *queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
}

// flushed returns a channel that is closed once all that waits is written.
func (q *queue) flushed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	flushed := make(chan struct{})
	q.flushes = append(q.flushes, flushed)
	q.nudge()
	return flushed
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closing = true
	q.nudge()
}

func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}
