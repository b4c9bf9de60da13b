package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"server22.local/appliance/realtime/history"
)

// When the full-text index and the channels' counts are brought up to date:
// so many messages, or so long after the first of them. Both can be rebuilt
// from the messages, so that they need not be in each message's transaction.
const (
	settleMost  = 1000
	settleAfter = 20 * time.Second
)

// settle brings the index and the counts up to date, in the transaction.
func (w *writer) settle(ctx context.Context) error {
	for _, t := range w.unsettled {
		if _, err := w.stmt.index.ExecContext(ctx, t.n, t.text); err != nil {
			return fmt.Errorf("indexing a message: %w", err)
		}
	}
	w.unsettled, w.pending = nil, 0
	for _, l := range w.s.logs {
		for _, c := range l.dir.all() {
			if !c.touched {
				continue
			}
			if err := w.settleChannel(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) settleChannel(ctx context.Context, c *channel) error {
	w.saved(c)
	c.settled, c.touched = c.last, false
	_, err := w.stmt.settle.ExecContext(ctx, c.last, c.settled, c.count, c.bytes, c.id)
	return err
}

// unindexOne takes a message out of the index, or out of what waits for it.
func (w *writer) unindexOne(c *channel, n int64) error {
	if seqOf(n) <= c.settled {
		_, err := w.stmt.unindex.Exec(n)
		return err
	}
	w.unsettled = slices.DeleteFunc(slices.Clone(w.unsettled), func(t text) bool { return t.n == n })
	return nil
}

// Search returns the newest messages, at most limit, of some channels that
// have all words of the text, the last word also as a beginning; oldest first.
// Case and accents make no difference.
func (l *Log) Search(ctx context.Context, channels []string, text string, limit int) ([]history.Message, error) {
	match := matchWords(text)
	if match == "" {
		return nil, nil
	}
	// The index is behind; what is not in it goes in now.
	err := l.s.do(ctx, func(w *writer) error { return w.settle(context.WithoutCancel(ctx)) })
	if err != nil && !isFull(err) {
		return nil, fmt.Errorf("bringing the index up to date: %w", err)
	}
	l.s.gate.RLock()
	defer l.s.gate.RUnlock()
	var found []history.Message
	for _, name := range channels {
		id, ok := l.dir.id(name)
		if !ok {
			continue
		}
		got, err := searchChannel(ctx, l.s.reads, id, name, match, limit)
		if err != nil {
			return nil, fmt.Errorf("searching %s %q: %w", l.name, name, err)
		}
		found = append(found, got...)
	}
	slices.SortStableFunc(found, func(a, b history.Message) int { return cmp.Compare(a.Time.UnixMilli(), b.Time.UnixMilli()) })
	return found[max(0, len(found)-limit):], nil
}

func searchChannel(ctx context.Context, db *sql.DB, id int64, name, match string, limit int) ([]history.Message, error) {
	rows, err := db.QueryContext(ctx, "SELECT "+columns+` FROM message WHERE flags & 2 = 0 AND n IN (
		SELECT rowid FROM search WHERE search MATCH ? AND rowid > ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?)
		ORDER BY n DESC`, match, rowid(id, 0), rowid(id, maxSeq), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return collect(rows, history.Query{Channel: name, Prefer: history.Newest})
}

// matchWords makes a full-text query of what somebody typed: each word a
// literal, so that no character of it is an operator.
func matchWords(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || r == '"' || r == 0
	})
	words = slices.DeleteFunc(words, func(w string) bool {
		return !strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
	})
	if len(words) == 0 {
		return ""
	}
	const mostWords = 16
	words = words[:min(len(words), mostWords)]
	return `"` + strings.Join(words, `" "`) + `"*`
}
