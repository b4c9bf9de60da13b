package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"server22.local/appliance/realtime/history"
)

// mostOps and mostBytes bound one transaction, so that the first in it does not
// wait for ever and the write-ahead log stays small.
const (
	mostOps   = 2048
	mostBytes = 1 << 20
)

// pause is how long the store refuses after it found no space, before it tries
// again: a full disk is not to be asked thousands of times a second.
const pause = 500 * time.Millisecond

// writer is what only the goroutine of Run touches.
type writer struct {
	s    *Store
	path string
	db   *sql.DB
	conn *sql.Conn
	stmt statements

	nextID int64 // of the next new channel
	// undo takes the memory back to what it was before the transaction.
	undo []func()
	// unsettled are the messages that the full-text index does not have yet, in
	// the order in which they came; their channels' counts wait with them.
	unsettled []text
	pending   int       // messages that are not settled
	since     time.Time // when the first of them came

	fault       error
	refuseUntil time.Time
	lastLazy    time.Time
	nextAge     time.Time // when to look for messages that are too old
	written     int64     // bytes since the size was looked at
}

type text struct {
	n    int64
	text string
}

type statements struct {
	insert, byKey, newChannel, settle, index, unindex, blank, put, remove *sql.Stmt
}

type statement struct {
	stmt **sql.Stmt
	text string
}

func (s *statements) all() []statement {
	return []statement{
		{&s.insert, `INSERT INTO message (n, time, flags, key, event, data, attachments)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (n >> 40, key) WHERE key IS NOT NULL DO NOTHING`},
		{&s.byKey, `SELECT n, time, flags FROM message WHERE n >> 40 = ? AND key = ?`},
		{&s.newChannel, `INSERT INTO channel (id, log, name) VALUES (?, ?, ?)`},
		{&s.settle, `UPDATE channel SET last = ?, settled = ?, count = ?, bytes = ? WHERE id = ?`},
		{&s.index, `INSERT INTO search (rowid, text) VALUES (?, ?)`},
		{&s.unindex, `DELETE FROM search WHERE rowid = ?`},
		{&s.blank, `UPDATE message SET flags = flags | 2, event = NULL, data = NULL, attachments = NULL
			WHERE n = ? AND flags & 2 = 0`},
		{&s.put, `INSERT INTO dict VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`},
		{&s.remove, `DELETE FROM dict WHERE name = ? AND key = ?`},
	}
}

func newWriter(ctx context.Context, s *Store) (*writer, error) {
	w := &writer{s: s, path: s.cfg.Path}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	if err := w.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the channels: %w", err), w.close())
	}
	return w, nil
}

// connect opens the file and bounds its size.
func (w *writer) connect(ctx context.Context) error {
	db, err := openWrites(w.path)
	if err != nil {
		return err
	}
	w.db = db
	if w.conn, err = db.Conn(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	if _, err = w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", w.maxPages())); err != nil {
		return errors.Join(err, db.Close())
	}
	if err = w.prepare(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

// maxPages leaves room for the write-ahead log.
func (w *writer) maxPages() int64 { return (w.s.cfg.MaxSize - 2*walMost) / pageSize }

func (w *writer) prepare(ctx context.Context) error {
	for _, p := range w.stmt.all() {
		stmt, err := w.conn.PrepareContext(ctx, p.text)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

// close closes the connection; with the last one goes the write-ahead log. A
// statement that is left open would keep SQLite from closing the files.
func (w *writer) close() error {
	var errs []error
	for _, p := range w.stmt.all() {
		if *p.stmt != nil {
			errs = append(errs, (*p.stmt).Close())
		}
	}
	return errors.Join(append(errs, w.conn.Close(), w.db.Close())...)
}

// Run writes what is appended and put until ctx ends; then it writes what
// still waits, and the lazy values, and closes the store. It is to be the last
// task that ends: what others append while they end is still stored.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("running the store: it runs already, or has ended")
	}
	// The end of ctx must not cut a transaction short.
	work := context.WithoutCancel(ctx)
	notes := make(chan []op, 4)
	ended := make(chan struct{})
	spares := make(chan []op, 4)
	go func() {
		defer close(ended)
		notify(notes, spares)
	}()
	if err := s.w.mark(work); err != nil {
		s.w.trouble(err)
	}
	close(s.ready)
	s.w.loop(ctx, work, notes, spares)
	close(s.ended)
	close(notes)
	<-ended
	return s.close()
}

// notify tells what became of each op, in order, beside the next transaction.
func notify(notes <-chan []op, spares chan<- []op) {
	for ops := range notes {
		for i := range ops {
			ops[i].done(ops[i].err)
		}
		clear(ops)
		select {
		case spares <- ops:
		default:
		}
	}
}

// loop commits until ctx ends, and then once more.
func (w *writer) loop(ctx, work context.Context, notes chan<- []op, spares <-chan []op) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		timer.Reset(w.nextDuty(now))
		select {
		case <-w.s.queue.wake:
			w.drain(work, notes, spares)
		case r := <-w.s.swaps:
			r.done <- w.exchange(work, r.next)
		case <-w.s.lazy.wake: // a first lazy value: the timer is to be set anew
		case <-timer.C:
			w.duties(work, time.Now())
		case <-ctx.Done():
			w.s.queue.close()
			w.drain(work, notes, spares)
			w.end(work)
			return
		}
	}
}

// drain commits until nothing waits.
func (w *writer) drain(ctx context.Context, notes chan<- []op, spares <-chan []op) {
	for {
		var spare []op
		select {
		case spare = <-spares:
		default:
		}
		ops := w.s.queue.take(spare)
		if len(ops) == 0 {
			return
		}
		for part := range chunks(ops) {
			w.commit(ctx, part)
			notes <- part
			w.duties(ctx, time.Now())
		}
	}
}

// chunks cuts ops into pieces for a transaction each. They share no capacity.
func chunks(ops []op) iter.Seq[[]op] {
	return func(yield func([]op) bool) {
		var bytes int64
		first := 0
		for i := range ops {
			if i-first == mostOps || bytes+ops[i].size > mostBytes && i > first {
				if !yield(ops[first:i:i]) {
					return
				}
				first, bytes = i, 0
			}
			bytes += ops[i].size
		}
		yield(ops[first:])
	}
}

// commit makes one transaction of the ops, and notes in each what became of it.
func (w *writer) commit(ctx context.Context, ops []op) {
	err := w.refusing()
	if err == nil {
		err = w.transact(ctx, func() error { return w.each(ops) })
		if isFull(err) && w.makeRoom(ctx, sizeOf(ops)) {
			err = w.transact(ctx, func() error { return w.each(ops) })
		}
		w.note(err)
	}
	for i := range ops {
		if err != nil {
			ops[i].err = err
		}
	}
}

func sizeOf(ops []op) (n int64) {
	for _, o := range ops {
		n += o.size
	}
	return n
}

func (w *writer) each(ops []op) error {
	for i := range ops {
		err := ops[i].exec(w)
		ops[i].err = nil
		if r, ok := errors.AsType[refusal](err); ok {
			ops[i].err = r.error
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// transact runs f in a transaction. When it fails, the database and what the
// writer has in memory are as before.
func (w *writer) transact(ctx context.Context, f func() error) error {
	w.undo = w.undo[:0]
	unsettled, pending, since := w.unsettled, w.pending, w.since
	_, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		if err = f(); err == nil {
			_, err = w.conn.ExecContext(ctx, "COMMIT")
		}
		if err != nil {
			// A full disk may have rolled back already.
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		}
	}
	if err != nil {
		w.unsettled, w.pending, w.since = unsettled, pending, since
		for _, undo := range slices.Backward(w.undo) {
			undo()
		}
		return fmt.Errorf("writing to the store: %w", describeAt(err, w.path))
	}
	w.s.stats.commits.Add(1)
	return nil
}

func isFull(err error) bool { return errors.Is(err, history.ErrFull) }

// refusing returns the error of the last try while it is too early for another.
func (w *writer) refusing() error {
	if w.fault != nil && time.Now().Before(w.refuseUntil) {
		return w.fault
	}
	return nil
}

// note keeps and tells whether the store can write.
func (w *writer) note(err error) {
	if err == nil && w.fault == nil {
		return
	}
	if err != nil {
		w.trouble(err)
		return
	}
	w.fault = nil
	w.s.cfg.Logger.Info("the store can write again", "path", w.path)
	w.s.cfg.OnFault(nil)
}

func (w *writer) trouble(err error) {
	w.refuseUntil = time.Now().Add(pause)
	if w.fault == nil || w.fault.Error() != err.Error() {
		w.s.cfg.Logger.Error("the store cannot write", "path", w.path, "err", err)
		w.s.cfg.OnFault(err)
	}
	w.fault = err
}

// mark notes in the database that it is open, until it is closed properly.
func (w *writer) mark(ctx context.Context) error {
	return w.transact(ctx, func() error {
		_, err := w.stmt.put.ExecContext(ctx, "store", "open", []byte("1"))
		return err
	})
}

// end writes what waits for its time, and that the database is closed.
func (w *writer) end(ctx context.Context) {
	err := w.transact(ctx, func() error {
		if err := w.writeLazy(ctx); err != nil {
			return err
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		_, err := w.stmt.remove.ExecContext(ctx, "store", "open")
		return err
	})
	if err != nil {
		w.trouble(err)
	}
}
