package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// salvage puts a broken database aside, as PATH.broken-TIME, and makes a new
// one of what can be read of it.
func salvage(ctx context.Context, cfg Config, why error) error {
	aside := fmt.Sprintf("%s.broken-%s", cfg.Path, time.Now().UTC().Format("20060102-150405"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(cfg.Path+suffix, aside+suffix); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	db, err := openWrites(cfg.Path)
	if err != nil {
		return err
	}
	err = migrate(ctx, db, cfg.Path)
	saved := 0
	if err == nil {
		saved = rescue(ctx, db, aside)
	}
	cfg.Logger.Error("the store was damaged; it was put aside, and what could be read was saved",
		"path", cfg.Path, "aside", aside, "saved", saved, "err", why)
	cfg.OnFault(fmt.Errorf("%w: it was put aside as %s, and %d messages were saved (%w)", errBroken, aside, saved, why))
	return errors.Join(err, db.Close())
}

// rescue copies the rows that can be read, table by table, from both ends: in
// the middle may be a page that cannot. It returns the number of messages.
func rescue(ctx context.Context, db *sql.DB, aside string) int {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	rescueTable(ctx, tx, aside, "channel", "id, log, name, last, settled, count, bytes", "id")
	rescueTable(ctx, tx, aside, "dict", "name, key, value", "name")
	n := rescueTable(ctx, tx, aside, "message", columns, "n")
	// The index and the counts are made anew from the messages.
	for _, query := range []string{
		"UPDATE channel SET settled = 0, count = 0, bytes = 0",
		"DELETE FROM dict WHERE name = 'store' AND key = 'open'",
	} {
		if _, err := tx.ExecContext(ctx, query); err != nil {
			return 0
		}
	}
	if tx.Commit() != nil {
		return 0
	}
	return n
}

func rescueTable(ctx context.Context, tx *sql.Tx, aside, table, columns, key string) int {
	n, err := rescueRows(ctx, tx, aside, table, columns, key+" ASC")
	if err == nil {
		return n
	}
	more, _ := rescueRows(ctx, tx, aside, table, columns, key+" DESC")
	return n + more
}

// rescueRows copies rows in an order until one cannot be read. It opens the
// broken file anew: a connection that met an error goes on meeting it.
func rescueRows(ctx context.Context, tx *sql.Tx, aside, table, columns, order string) (n int, err error) {
	broken, err := openReads(aside)
	if err != nil {
		return 0, err
	}
	defer broken.Close()
	rows, err := broken.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", columns, table, order))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	values, to := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		to[i] = &values[i]
	}
	insert := fmt.Sprintf("INSERT OR IGNORE INTO %s (%s) VALUES (?%s)", table, columns, strings.Repeat(", ?", len(names)-1))
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return n, err
		}
		result, err := tx.ExecContext(ctx, insert, values...)
		if err != nil {
			return n, err
		}
		changed, err := result.RowsAffected()
		if err != nil {
			return n, err
		}
		n += int(changed)
	}
	return n, rows.Err()
}
