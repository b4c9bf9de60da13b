package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"server22.local/appliance/realtime/history"
)

// ageEvery is how often the store looks for messages that are too old.
const ageEvery = 10 * time.Minute

// atOnce bounds the messages that one transaction gives up.
const atOnce = 500

// When so much of MaxSize is used, the oldest messages are given up until it
// is less than this.
const (
	highWater = 0.90
	lowWater  = 0.85
)

// nextDuty returns how long until something is to be done though nothing came.
func (w *writer) nextDuty(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	if at, ok := w.lazyAt(); ok && at.Before(next) {
		next = at
	}
	if w.pending > 0 && w.since.Add(settleAfter).Before(next) {
		next = w.since.Add(settleAfter)
	}
	if w.hasAge() && w.nextAge.Before(next) {
		next = w.nextAge
	}
	if w.fault != nil {
		next = w.refuseUntil.Add(probeEvery)
	}
	return max(0, next.Sub(now))
}

func (w *writer) lazyAt() (time.Time, bool) {
	since, ok := w.s.lazy.waiting()
	if !ok {
		return time.Time{}, false
	}
	at := since.Add(w.s.cfg.LazyAfter)
	if again := w.lastLazy.Add(w.s.cfg.LazyEvery); at.Before(again) {
		at = again
	}
	return at, true
}

func (w *writer) hasAge() bool {
	for _, l := range w.s.logs {
		if l.cfg.Retention.Age > 0 {
			return true
		}
	}
	return false
}

// duties does what its time has come for.
func (w *writer) duties(ctx context.Context, now time.Time) {
	if w.fault != nil {
		w.probe(ctx, now)
		return
	}
	if at, ok := w.lazyAt(); ok && !now.Before(at) {
		w.lastLazy = now
		w.duty(ctx, w.writeLazy)
	}
	if w.pending >= settleMost || w.pending > 0 && now.Sub(w.since) >= settleAfter {
		touched := w.touched()
		w.duty(ctx, w.settle)
		w.trimAll(ctx, touched, now)
	}
	if w.hasAge() && !now.Before(w.nextAge) {
		w.nextAge = now.Add(ageEvery)
		w.trimAll(ctx, w.aged(), now)
	}
	if w.written >= 256<<10 {
		w.written = 0
		w.makeRoom(ctx, mostBytes)
	}
}

// probeEvery is how often a store that cannot write looks whether it can again
// though nobody asks it to, so that the warning goes when its cause has gone.
const probeEvery = 2 * time.Second

func (w *writer) probe(ctx context.Context, now time.Time) {
	if now.Before(w.refuseUntil.Add(probeEvery)) {
		return
	}
	w.note(w.mark(ctx))
}

// duty runs one in a transaction of its own; when it fails it is tried again.
func (w *writer) duty(ctx context.Context, f func(context.Context) error) {
	w.note(w.transact(ctx, func() error { return f(ctx) }))
}

func (w *writer) touched() []*channel {
	var got []*channel
	for _, l := range w.s.logs {
		for _, c := range l.dir.all() {
			if c.touched {
				got = append(got, c)
			}
		}
	}
	return got
}

func (w *writer) aged() []*channel {
	var got []*channel
	for _, l := range w.s.logs {
		if l.cfg.Retention.Age > 0 {
			got = append(got, l.dir.all()...)
		}
	}
	return got
}

// trimAll gives up what is over the bounds of the channels' logs.
func (w *writer) trimAll(ctx context.Context, channels []*channel, now time.Time) {
	for _, c := range channels {
		for w.trimOnce(ctx, c, func(h head) bool { return over(c, h, now) }) {
		}
	}
}

// head is the oldest message of a channel, and what is left when it is gone.
type head struct {
	n     int64
	time  time.Time
	size  int64
	flags int64
}

// over says whether the oldest message is over a bound.
func over(c *channel, h head, now time.Time) bool {
	r := c.log.cfg.Retention
	return r.Count > 0 && c.count > int64(r.Count) ||
		r.Bytes > 0 && c.bytes > r.Bytes ||
		r.Age > 0 && h.flags&flagUnset == 0 && now.Sub(h.time) > r.Age
}

// trimOnce gives up a channel's oldest messages, while goes says so, in one
// transaction. It reports whether there may be more.
func (w *writer) trimOnce(ctx context.Context, c *channel, goes func(head) bool) bool {
	more := false
	err := w.transact(ctx, func() error {
		heads, err := w.heads(ctx, c, atOnce)
		if err != nil {
			return err
		}
		w.saved(c)
		k := 0
		for k < len(heads) && goes(heads[k]) {
			c.count--
			c.bytes -= heads[k].size
			k++
		}
		if k == 0 {
			return nil
		}
		more = k == len(heads)
		return w.giveUp(ctx, c, heads[:k])
	})
	if err != nil {
		w.note(err)
		return false
	}
	return more
}

// heads returns the oldest settled messages of a channel.
func (w *writer) heads(ctx context.Context, c *channel, limit int) ([]head, error) {
	rows, err := w.conn.QueryContext(ctx, fmt.Sprintf(`SELECT n, time, flags, %d + ifnull(octet_length(key), 0) + ifnull(octet_length(event), 0)
		+ ifnull(octet_length(data), 0) + ifnull(octet_length(attachments), 0)
		FROM message WHERE n > ? AND n <= ? ORDER BY n LIMIT ?`, emptySize), rowid(c.id, 0), rowid(c.id, c.settled), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var heads []head
	for rows.Next() {
		var h head
		var ms int64
		if err := rows.Scan(&h.n, &ms, &h.flags, &h.size); err != nil {
			return nil, err
		}
		h.time = time.UnixMilli(ms)
		heads = append(heads, h)
	}
	return heads, rows.Err()
}

// emptySize is what a message without content is counted as.
var emptySize = (&history.Message{}).Size()

// giveUp deletes messages, their place in the index, and counts anew.
func (w *writer) giveUp(ctx context.Context, c *channel, gone []head) error {
	first, last := gone[0].n, gone[len(gone)-1].n
	if _, err := w.conn.ExecContext(ctx, "DELETE FROM message WHERE n >= ? AND n <= ?", first, last); err != nil {
		return err
	}
	if c.log.cfg.Text != nil {
		if _, err := w.conn.ExecContext(ctx, "DELETE FROM search WHERE rowid >= ? AND rowid <= ?", first, last); err != nil {
			return err
		}
	}
	c.count, c.bytes = max(0, c.count), max(0, c.bytes)
	_, err := w.conn.ExecContext(ctx, "UPDATE channel SET last = max(last, ?), count = max(0, count - ?), bytes = max(0, bytes - ?) WHERE id = ?",
		c.settled, len(gone), sizes(gone), c.id)
	return err
}

func sizes(heads []head) (n int64) {
	for _, h := range heads {
		n += h.size
	}
	return n
}

// makeRoom gives up the oldest messages if the database, with so many bytes
// more, is nearly as large as it may become. It reports whether it gave up any.
func (w *writer) makeRoom(ctx context.Context, more int64) bool {
	used, err := w.used(ctx)
	// An index comes with a message, and pages are not filled to the brim.
	extra := float64(more) / pageSize * 1.5
	limit := float64(w.maxPages())
	if err != nil || float64(used)+extra < highWater*limit {
		return false
	}
	if w.pending > 0 {
		w.duty(ctx, w.settle)
	}
	gave := false
	for float64(used)+extra > lowWater*limit {
		c := w.victim(ctx)
		if c == nil {
			break
		}
		before := c.count
		w.trimOnce(ctx, c, func(head) bool { return true })
		if c.count == before {
			break
		}
		gave = true
		if used, err = w.used(ctx); err != nil {
			break
		}
	}
	w.s.cfg.Logger.Info("the store gave up its oldest messages, for it is as large as it may be",
		"path", w.path, "pages", used, "most", w.maxPages())
	return gave
}

// used returns the pages that hold something.
func (w *writer) used(ctx context.Context) (int64, error) {
	var pages, free int64
	err := errors.Join(
		w.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages),
		w.conn.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free))
	return pages - free, err
}

// victim returns the channel with the oldest message of the log that holds
// most for its share.
func (w *writer) victim(ctx context.Context) *channel {
	var most *Log
	var weight float64
	for _, l := range w.s.logs {
		if got := l.weight(); got > weight {
			most, weight = l, got
		}
	}
	if most == nil {
		return nil
	}
	var oldest *channel
	var at int64
	for _, c := range most.dir.all() {
		ms, ok := w.oldest(ctx, c)
		if ok && (oldest == nil || ms < at) {
			oldest, at = c, ms
		}
	}
	return oldest
}

func (l *Log) weight() float64 {
	var bytes int64
	for _, c := range l.dir.all() {
		if c.count > 0 {
			bytes += c.bytes
		}
	}
	return float64(bytes) / float64(l.cfg.Share)
}

// oldest returns the time of the channel's first settled message.
func (w *writer) oldest(ctx context.Context, c *channel) (int64, bool) {
	var ms int64
	err := w.conn.QueryRowContext(ctx, "SELECT time FROM message WHERE n > ? AND n <= ? ORDER BY n LIMIT 1",
		rowid(c.id, 0), rowid(c.id, c.settled)).Scan(&ms)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, false
	}
	return ms, err == nil
}
