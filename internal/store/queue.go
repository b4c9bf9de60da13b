package store

import (
	"sync"

	"server22.local/appliance/realtime/history"
)

// op is one piece of work for the writer.
type op struct {
	size int64
	// exec runs inside the transaction. An error that it returns as a refusal is
	// its own; any other takes the transaction with it.
	exec func(w *writer) error
	// done is called after the transaction, with what became of the op.
	done func(error)
	err  error
}

// refusal is an error of one op that leaves the transaction whole.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// queue holds what waits for the next transaction.
type queue struct {
	limit int64
	wake  chan struct{}

	mu     sync.Mutex
	ops    []op
	bytes  int64
	closed bool
}

// put adds an op. Its done is not called if put returns an error.
func (q *queue) put(o op) error {
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return history.ErrClosed
	case q.bytes+o.size > q.limit && len(q.ops) > 0:
		q.mu.Unlock()
		return history.ErrBusy
	}
	q.ops = append(q.ops, o)
	q.bytes += o.size
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// take returns everything that waits, and gives the queue spare to fill.
func (q *queue) take(spare []op) []op {
	q.mu.Lock()
	defer q.mu.Unlock()
	got := q.ops
	q.ops, q.bytes = spare[:0], 0
	return got
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) waiting() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}
