package store

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Dict keeps small values by key.
type Dict struct {
	s    *Store
	name string
}

// Dict returns the values under a name. "store" is the store's own.
func (s *Store) Dict(name string) *Dict { return &Dict{s, name} }

// All returns every value, durable or waiting.
func (d *Dict) All(ctx context.Context) (map[string][]byte, error) {
	got, err := d.durable(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the values of %s: %w", d.name, err)
	}
	d.s.lazy.over(d.name, got)
	return got, nil
}

func (d *Dict) durable(ctx context.Context) (map[string][]byte, error) {
	d.s.gate.RLock()
	defer d.s.gate.RUnlock()
	rows, err := d.s.reads.QueryContext(ctx, "SELECT key, value FROM dict WHERE name = ?", d.name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	got := make(map[string][]byte)
	for rows.Next() {
		var key string
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		got[key] = value
	}
	return got, rows.Err()
}

// Put stores a value; nil removes it. done, which may be nil, is called when
// that is durable.
func (d *Dict) Put(key string, value []byte, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	d.s.lazy.forget(slot{d.name, key})
	err := d.s.queue.put(op{
		size: int64(len(key) + len(value)),
		exec: func(w *writer) error { return w.put(slot{d.name, key}, value) },
		done: done,
	})
	if err != nil {
		done(err)
	}
}

// PutWait stores a value and returns when it is durable; nil removes it.
func (d *Dict) PutWait(ctx context.Context, key string, value []byte) error {
	done := make(chan error, 1)
	d.Put(key, value, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PutLazy stores a value in seconds, and when the store ends: a value that
// changes many times a second is written once. nil removes it.
func (d *Dict) PutLazy(key string, value []byte) {
	d.s.lazy.set(slot{d.name, key}, value)
}

func (w *writer) put(at slot, value []byte) error {
	if value == nil {
		_, err := w.stmt.remove.Exec(at.name, at.key)
		return err
	}
	_, err := w.stmt.put.Exec(at.name, at.key, value)
	w.written += int64(len(at.key) + len(value))
	return err
}

type slot struct{ name, key string }

// lazySet holds the values that wait for their time.
type lazySet struct {
	wake chan struct{}

	mu     sync.Mutex
	values map[slot][]byte
	since  time.Time // when the first of them came
}

func (l *lazySet) set(at slot, value []byte) {
	l.mu.Lock()
	first := len(l.values) == 0
	if first {
		l.since = time.Now()
		l.values = make(map[slot][]byte)
	}
	l.values[at] = value
	l.mu.Unlock()
	if !first {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lazySet) forget(at slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.values, at)
}

// over lays the waiting values of a name over the durable ones.
func (l *lazySet) over(name string, values map[string][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at, v := range l.values {
		switch {
		case at.name != name:
		case v == nil:
			delete(values, at.key)
		default:
			values[at.key] = v
		}
	}
}

// waiting says whether there is any, and since when.
func (l *lazySet) waiting() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since, len(l.values) > 0
}

// peek returns a copy of the waiting values.
func (l *lazySet) peek() map[slot][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.values)
}

func (l *lazySet) take() map[slot][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.values
	l.values = nil
	return got
}

// giveBack puts values back that could not be written, under newer ones.
func (l *lazySet) giveBack(values map[slot][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.Copy(values, l.values)
	l.values = values
}

// writeLazy writes the values whose time has come, in the transaction.
func (w *writer) writeLazy(context.Context) error {
	values := w.s.lazy.take()
	if len(values) == 0 {
		return nil
	}
	w.undo = append(w.undo, func() { w.s.lazy.giveBack(values) })
	for at, v := range values {
		if err := w.put(at, v); err != nil {
			return fmt.Errorf("writing the value of %s: %w", at.key, err)
		}
	}
	return nil
}
