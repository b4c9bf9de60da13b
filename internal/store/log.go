package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"server22.local/appliance/realtime/history"
)

// Log is a durable [history.Log].
type Log struct {
	s    *Store
	name string
	cfg  LogConfig
	dir  directory
}

var _ history.Log = (*Log)(nil)

func newLog(s *Store, name string, cfg LogConfig) *Log {
	if cfg.Share == 0 {
		cfg.Share = 1
	}
	return &Log{s: s, name: name, cfg: cfg, dir: newDirectory()}
}

// Append stores m with the next transaction. done is called after the
// transaction is on the disk; its error is [history.ErrFull] where the disk or
// the store is full.
func (l *Log) Append(m history.Message, done func(history.Receipt, error)) {
	if done == nil {
		done = func(history.Receipt, error) {}
	}
	var receipt history.Receipt
	err := l.s.queue.put(op{
		size: m.Size(),
		exec: func(w *writer) (err error) {
			receipt, err = w.append(l, &m)
			return err
		},
		done: func(err error) {
			if err != nil {
				l.s.stats.refused.Add(1)
				done(history.Receipt{}, err)
				return
			}
			if !receipt.Duplicate {
				l.s.stats.stored.Add(1)
				l.dir.publish(m.Channel, receipt.Seq)
			}
			done(receipt, nil)
		},
	})
	if err != nil {
		l.s.stats.refused.Add(1)
		done(history.Receipt{}, err)
	}
}

// append inserts m in the transaction.
func (w *writer) append(l *Log, m *history.Message) (history.Receipt, error) {
	c, err := w.channel(l, m.Channel)
	if err != nil {
		return history.Receipt{}, err
	}
	seq := m.Seq
	if seq <= c.last {
		seq = c.last + 1
	}
	m.Time = history.Settle(m.Time, m.ClockUnset, c.lastTime, c.unset)
	n := rowid(c.id, seq)
	var flags int64
	if m.ClockUnset {
		flags |= flagUnset
	}
	result, err := w.stmt.insert.Exec(n, m.Time.UnixMilli(), flags, null(m.Key), null(m.Event), m.Data, pack(m.Attachments))
	if err != nil {
		return history.Receipt{}, err
	}
	if inserted, err := result.RowsAffected(); err != nil || inserted == 0 {
		if err != nil {
			return history.Receipt{}, err
		}
		return w.first(c, m.Key)
	}
	w.saved(c)
	m.Seq = seq
	c.lastTime, c.unset = m.Time, m.ClockUnset
	if w.pending == 0 {
		w.since = time.Now()
	}
	w.account(c, n, m)
	w.written += m.Size()
	return history.Receipt{Seq: seq, Time: m.Time, ClockUnset: m.ClockUnset}, nil
}

// first returns the receipt of the message that has the key already.
func (w *writer) first(c *channel, key string) (history.Receipt, error) {
	var n, ms, flags int64
	if err := w.stmt.byKey.QueryRow(c.id, key).Scan(&n, &ms, &flags); err != nil {
		return history.Receipt{}, fmt.Errorf("finding the first message of a key: %w", err)
	}
	return history.Receipt{
		Seq: seqOf(n), Time: time.UnixMilli(ms), ClockUnset: flags&flagUnset != 0, Duplicate: true,
	}, nil
}

// null makes an empty string no value at all.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

const columns = "n, time, flags, key, event, data, attachments"

// scan reads a row of columns.
func scan(rows *sql.Rows, name string) (int64, history.Message, error) {
	var n, ms, flags int64
	var key, event sql.NullString
	var packed []byte
	m := history.Message{Channel: name}
	if err := rows.Scan(&n, &ms, &flags, &key, &event, &m.Data, &packed); err != nil {
		return 0, m, err
	}
	m.Seq, m.Time, m.Key, m.Event = seqOf(n), time.UnixMilli(ms), key.String, event.String
	m.ClockUnset, m.Deleted = flags&flagUnset != 0, flags&flagDeleted != 0
	var err error
	m.Attachments, err = unpack(packed)
	return n, m, err
}

// Read returns the messages that q asks for.
func (l *Log) Read(ctx context.Context, q history.Query) ([]history.Message, error) {
	l.s.gate.RLock()
	defer l.s.gate.RUnlock()
	id, ok := l.dir.id(q.Channel)
	if !ok {
		return nil, nil
	}
	got, err := read(ctx, l.s.reads, id, q)
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", l.name, q.Channel, err)
	}
	return got, nil
}

func read(ctx context.Context, db *sql.DB, id int64, q history.Query) ([]history.Message, error) {
	from, to := rowid(id, q.After)+1, rowid(id, maxSeq)
	if q.Before > 0 {
		to = rowid(id, q.Before) - 1
	}
	if !q.Since.IsZero() {
		older, err := olderThan(ctx, db, from, to, q.Since)
		if err != nil {
			return nil, err
		}
		from = max(from, older+1)
	}
	order := "ASC"
	if q.Prefer == history.Newest {
		order = "DESC"
	}
	limit := -1
	if q.Limit > 0 {
		limit = q.Limit
	}
	rows, err := db.QueryContext(ctx, "SELECT "+columns+" FROM message WHERE n >= ? AND n <= ? AND flags & 2 = 0 ORDER BY n "+
		order+" LIMIT ?", from, to, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return collect(rows, q)
}

// olderThan returns the last row before the time, looking back from the end:
// what is asked for is usually near it.
func olderThan(ctx context.Context, db *sql.DB, from, to int64, t time.Time) (int64, error) {
	var n int64
	err := db.QueryRowContext(ctx, "SELECT n FROM message WHERE n >= ? AND n <= ? AND time < ? ORDER BY n DESC LIMIT 1",
		from, to, t.UnixMilli()).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return from - 1, nil
	}
	return n, err
}

func collect(rows *sql.Rows, q history.Query) ([]history.Message, error) {
	var got []history.Message
	var bytes int64
	for rows.Next() {
		_, m, err := scan(rows, q.Channel)
		if err != nil {
			return nil, err
		}
		if bytes += m.Size(); q.Bytes > 0 && bytes > q.Bytes && len(got) > 0 {
			break
		}
		got = append(got, m)
	}
	if q.Prefer == history.Newest {
		slices.Reverse(got)
	}
	return got, rows.Err()
}

// Last returns the number of the channel's last durable message.
func (l *Log) Last(_ context.Context, channel string) (uint64, error) {
	return l.dir.last(channel), nil
}

// Count returns how many messages of a channel are kept, those whose content
// was deleted included.
func (l *Log) Count(ctx context.Context, channel string) (int64, error) {
	l.s.gate.RLock()
	defer l.s.gate.RUnlock()
	id, ok := l.dir.id(channel)
	if !ok {
		return 0, nil
	}
	// The row of the channel lags behind by what is not settled.
	var n int64
	err := l.s.reads.QueryRowContext(ctx,
		"SELECT count + (SELECT count(*) FROM message WHERE n > ?1 + settled AND n <= ?2) FROM channel WHERE id = ?3",
		rowid(id, 0), rowid(id, maxSeq), id).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting %s %q: %w", l.name, channel, err)
	}
	return n, nil
}

// Channels returns the names of the channels that have, or had, messages.
func (l *Log) Channels() []string {
	all := l.dir.all()
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	return names
}

// Delete removes the content of a message, durably.
func (l *Log) Delete(ctx context.Context, name string, seq uint64) (bool, error) {
	found := false
	err := l.s.do(ctx, func(w *writer) error {
		c := l.dir.get(name)
		if c == nil {
			return nil
		}
		n := rowid(c.id, seq)
		result, err := w.stmt.blank.Exec(n)
		if err != nil {
			return err
		}
		changed, err := result.RowsAffected()
		found = changed > 0
		if err != nil || !found || l.cfg.Text == nil {
			return err
		}
		return w.unindexOne(c, n)
	})
	if err != nil {
		return false, fmt.Errorf("deleting %d of %s %q: %w", seq, l.name, name, err)
	}
	return found, nil
}

// do runs f in a transaction and waits until that is durable.
func (s *Store) do(ctx context.Context, f func(w *writer) error) error {
	done := make(chan error, 1)
	if err := s.queue.put(op{exec: f, done: func(err error) { done <- err }}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
