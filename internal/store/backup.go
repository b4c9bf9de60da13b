package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"server22.local/appliance/realtime/history"
)

// restoring and replaced are what is put behind the database's name for a
// backup that is about to take its place, and for the database that gives it up.
const (
	restoring = ".restoring"
	replaced  = ".replaced"
)

// ErrNoBackup is returned for a file that no backup can be restored from.
var ErrNoBackup = errors.New("the file is no whole backup of an appliance")

// Backup copies everything that is durable now, and the lazy values, into one
// new file at path, while the store goes on. files, which may be empty, travel
// with it. The file is there whole or not at all; one that is there already is
// replaced.
func (s *Store) Backup(ctx context.Context, path string, files map[string][]byte) error {
	part := path + ".part"
	err := s.backup(ctx, part, files)
	if err == nil {
		err = os.Rename(part, path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(part)
		return fmt.Errorf("backing up to %s: %w", path, describeAt(err, filepath.Dir(path)))
	}
	return nil
}

func (s *Store) backup(ctx context.Context, part string, files map[string][]byte) error {
	if err := os.Remove(part); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := s.snapshot(ctx, part); err != nil {
		return err
	}
	// What waits for its time is as good as kept to those who put it.
	if err := addWaiting(ctx, part, s.lazy.peek()); err != nil {
		return err
	}
	if err := addFiles(ctx, part, files); err != nil {
		return err
	}
	return syncFile(part)
}

func (s *Store) snapshot(ctx context.Context, path string) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	db, err := sql.Open("sqlite", dsn(s.cfg.Path)) // one that only queries may not do this
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", path)
	return errors.Join(err, db.Close())
}

// addWaiting lays lazy values over the durable ones of a backup.
func addWaiting(ctx context.Context, path string, values map[slot][]byte) (err error) {
	if len(values) == 0 {
		return nil
	}
	db, err := sql.Open("sqlite", dsn(path, "journal_mode(DELETE)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for at, value := range values {
		query, args := "REPLACE INTO dict (name, key, value) VALUES (?, ?, ?)", []any{at.name, at.key, value}
		if value == nil {
			query, args = "DELETE FROM dict WHERE name = ? AND key = ?", args[:2]
		}
		if _, err := db.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

func addFiles(ctx context.Context, path string, files map[string][]byte) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "journal_mode(DELETE)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, content BLOB NOT NULL);
		DELETE FROM file; DELETE FROM dict WHERE name = 'store' AND key = 'open'`)
	for name, content := range files {
		if err == nil {
			_, err = db.ExecContext(ctx, "INSERT INTO file VALUES (?, ?)", name, content)
		}
	}
	return err
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Restore puts the backup at path in the place of everything that is stored,
// while the store runs, and returns the files that travelled with it. What is
// not a whole backup is refused, and nothing is changed. Numbers do not go
// back: a channel goes on above what it had before and what the backup has.
func (s *Store) Restore(ctx context.Context, path string) (map[string][]byte, error) {
	next := s.cfg.Path + restoring
	files, err := s.bringIn(ctx, path, next)
	if err == nil {
		err = s.ask(ctx, next)
	}
	clearLeftovers(s.cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("restoring %s: %w", path, err)
	}
	return files, nil
}

// swap asks the writer to put the file next in the database's place.
type swap struct {
	next string
	done chan<- error
}

func (s *Store) ask(ctx context.Context, next string) error {
	done := make(chan error, 1)
	select {
	case s.swaps <- swap{next, done}:
		return <-done // it is not to be cut short
	case <-s.ended:
		return history.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exchange puts another database in the place of this one. The write-ahead log
// goes with the last connection, so that it cannot be taken for the other's.
func (w *writer) exchange(ctx context.Context, next string) error {
	s := w.s
	floors := s.floors()
	s.gate.Lock()
	defer s.gate.Unlock()
	err := errors.Join(s.reads.Close(), w.close())
	if err == nil {
		err = trade(w.path, next)
	}
	if err == nil {
		err = w.reopen(ctx, floors)
	}
	if err != nil {
		return errors.Join(err, w.takeBack(ctx))
	}
	s.lazy.take() // of before
	return os.Remove(w.path + replaced)
}

// trade moves the files. A cut in between leaves one that [recall] finds.
func trade(path, next string) error {
	if err := gone(path + "-wal"); err != nil {
		return err
	}
	if err := os.Rename(path, path+replaced); err != nil {
		return err
	}
	return errors.Join(os.Rename(next, path), syncFolder(filepath.Dir(path)))
}

// takeBack undoes a trade that failed, wherever it stopped.
func (w *writer) takeBack(ctx context.Context) error {
	if gone(w.path+replaced) == nil {
		return w.reopen(ctx, nil)
	}
	return errors.Join(w.close(), os.Rename(w.path+replaced, w.path), w.reopen(ctx, nil))
}

// recall undoes a trade that a power cut stopped between its two renames.
func recall(path string) {
	if gone(path) == nil && gone(path+replaced) != nil {
		_ = os.Rename(path+replaced, path)
	}
}

// gone fails if there is such a file.
func gone(path string) error {
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		return errors.Join(fmt.Errorf("%s is still in use", path), err)
	}
	return nil
}

// reopen opens the database anew, with no channel below its floor.
func (w *writer) reopen(ctx context.Context, floors map[*Log]map[string]uint64) error {
	s := w.s
	for _, l := range s.logs {
		l.dir.clear()
	}
	w.unsettled, w.pending, w.fault = nil, 0, nil
	fresh, err := newWriter(ctx, s)
	if err != nil {
		return err
	}
	w.db, w.conn, w.stmt, w.nextID = fresh.db, fresh.conn, fresh.stmt, fresh.nextID
	w.unsettled, w.pending, w.since = fresh.unsettled, fresh.pending, fresh.since
	if s.reads, err = openReads(w.path); err != nil {
		return err
	}
	return w.transact(ctx, func() error { return w.raise(ctx, floors) })
}

// raise lifts the channels' last numbers to their floors.
func (w *writer) raise(ctx context.Context, floors map[*Log]map[string]uint64) error {
	for l, lasts := range floors {
		for name, last := range lasts {
			c, err := w.channel(l, name)
			if err != nil {
				return err
			}
			if c.last >= last {
				continue
			}
			w.saved(c)
			c.last = last
			if _, err := w.conn.ExecContext(ctx, "UPDATE channel SET last = ? WHERE id = ?", last, c.id); err != nil {
				return err
			}
		}
	}
	_, err := w.conn.ExecContext(ctx, "DROP TABLE IF EXISTS file")
	if err == nil {
		_, err = w.stmt.put.ExecContext(ctx, "store", "open", []byte("1"))
	}
	return err
}

// floors returns the last number of every channel.
func (s *Store) floors() map[*Log]map[string]uint64 {
	floors := make(map[*Log]map[string]uint64, len(s.logs))
	for _, l := range s.logs {
		floors[l] = make(map[string]uint64)
		for _, c := range l.dir.all() {
			floors[l][c.name] = c.last
		}
	}
	return floors
}

// bringIn copies a backup beside the database and looks whether it is whole.
func (s *Store) bringIn(ctx context.Context, path, next string) (files map[string][]byte, err error) {
	clearLeftovers(s.cfg.Path)
	if err := copyFile(path, next); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(next, "journal_mode(DELETE)", "synchronous(FULL)"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil || result != "ok" {
		return nil, fmt.Errorf("%w: %w", ErrNoBackup, errors.Join(err, notOK(result)))
	}
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil || version == 0 {
		return nil, errors.Join(ErrNoBackup, err)
	}
	if files, err = readFiles(ctx, db); err != nil {
		return nil, err
	}
	return files, migrate(ctx, db, next)
}

// notOK is what an integrity check says, unless it is that all is well.
func notOK(result string) error {
	if result == "" || result == "ok" {
		return nil
	}
	return fmt.Errorf("%w: %s", errBroken, result)
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Sync(), dst.Close())
}

func readFiles(ctx context.Context, db *sql.DB) (map[string][]byte, error) {
	rows, err := db.QueryContext(ctx, "SELECT name, content FROM file")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	files := make(map[string][]byte)
	for rows.Next() {
		var name string
		var content []byte
		if err := rows.Scan(&name, &content); err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, rows.Err()
}
