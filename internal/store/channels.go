package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"server22.local/appliance/realtime/history"
)

// maxChannels bounds the channels of a log: strangers name them.
const maxChannels = 20_000

// channel is what the writer knows of a channel without asking the database.
type channel struct {
	id   int64
	log  *Log
	name string
	state
}

// state is what of a channel changes, and goes back when a transaction fails.
type state struct {
	last     uint64
	lastTime time.Time
	unset    bool
	count    int64
	bytes    int64
	settled  uint64
	touched  bool // it has messages that are not settled
}

// directory finds channels by name. The writer changes it; readers look.
type directory struct {
	mu     sync.RWMutex
	byName map[string]*channel
	// lasts are the committed numbers, which readers may see.
	lasts map[string]uint64
}

func newDirectory() directory {
	return directory{byName: make(map[string]*channel), lasts: make(map[string]uint64)}
}

func (d *directory) get(name string) *channel {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byName[name]
}

func (d *directory) set(c *channel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byName[c.name] = c
}

func (d *directory) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byName, name)
}

// clear forgets the channels, but not the numbers that readers saw.
func (d *directory) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.byName)
}

func (d *directory) len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.byName)
}

// all returns the channels there are now.
func (d *directory) all() []*channel {
	d.mu.RLock()
	defer d.mu.RUnlock()
	got := make([]*channel, 0, len(d.byName))
	for _, c := range d.byName {
		got = append(got, c)
	}
	return got
}

func (d *directory) publish(name string, last uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lasts[name] = max(last, d.lasts[name])
}

func (d *directory) last(name string) uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.lasts[name]
}

func (d *directory) id(name string) (int64, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c := d.byName[name]
	if c == nil {
		return 0, false
	}
	return c.id, true
}

// saved keeps the channel as it is, in case the transaction fails.
func (w *writer) saved(c *channel) {
	before := c.state
	w.undo = append(w.undo, func() { c.state = before })
}

// channel returns the channel of that name, and makes it in the transaction if
// there is none.
func (w *writer) channel(l *Log, name string) (*channel, error) {
	if c := l.dir.get(name); c != nil {
		return c, nil
	}
	if l.dir.len() >= maxChannels {
		return nil, refusal{history.ErrFull}
	}
	c := &channel{id: w.nextID, log: l, name: name}
	if _, err := w.stmt.newChannel.Exec(c.id, l.name, name); err != nil {
		return nil, err
	}
	w.nextID++
	l.dir.set(c)
	w.undo = append(w.undo, func() { l.dir.remove(name); w.nextID-- })
	return c, nil
}

// load reads the channels, and what came after they were last settled.
func (w *writer) load(ctx context.Context) error {
	known, err := w.loadChannels(ctx)
	if err != nil {
		return err
	}
	for _, c := range known {
		if err := w.catchUp(ctx, c); err != nil {
			return err
		}
		c.log.dir.set(c)
		c.log.dir.publish(c.name, c.last)
	}
	return nil
}

func (w *writer) loadChannels(ctx context.Context) ([]*channel, error) {
	rows, err := w.conn.QueryContext(ctx, "SELECT id, log, name, last, settled, count, bytes FROM channel")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var known []*channel
	w.nextID = 1
	for rows.Next() {
		var c channel
		var log string
		if err := rows.Scan(&c.id, &log, &c.name, &c.last, &c.settled, &c.count, &c.bytes); err != nil {
			return nil, err
		}
		w.nextID = max(w.nextID, c.id+1)
		if c.log = w.s.logs[log]; c.log != nil { // else a log of another version
			known = append(known, &c)
		}
	}
	return known, rows.Err()
}

// catchUp reads what the channel got after it was last settled: nothing, if
// the store was closed properly.
func (w *writer) catchUp(ctx context.Context, c *channel) error {
	rows, err := w.conn.QueryContext(ctx,
		"SELECT "+columns+" FROM message WHERE n > ? AND n <= ? ORDER BY n", rowid(c.id, c.settled), rowid(c.id, maxSeq))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		n, m, err := scan(rows, c.name)
		if err != nil {
			return err
		}
		w.account(c, n, &m)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return w.loadTime(ctx, c)
}

func (w *writer) loadTime(ctx context.Context, c *channel) error {
	var ms, flags int64
	err := w.conn.QueryRowContext(ctx,
		"SELECT time, flags FROM message WHERE n > ? AND n <= ? ORDER BY n DESC LIMIT 1",
		rowid(c.id, 0), rowid(c.id, maxSeq)).Scan(&ms, &flags)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	c.lastTime, c.unset = time.UnixMilli(ms), flags&flagUnset != 0
	return err
}

// account counts a message of the channel that is stored, but not settled.
func (w *writer) account(c *channel, n int64, m *history.Message) {
	c.last = max(c.last, seqOf(n))
	c.count++
	c.bytes += m.Size()
	c.touched = true
	w.pending++
	if c.log.cfg.Text == nil || m.Deleted {
		return
	}
	if t := c.log.cfg.Text(*m); t != "" {
		w.unsettled = append(w.unsettled, text{n, t})
	}
}
