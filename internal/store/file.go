package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"server22.local/appliance/realtime/history"
)

// pageSize is SQLite's default and the block size of most cards' file systems.
const pageSize = 4096

// walPages is the length at which the write-ahead log is brought into the
// database, and walMost what it may reach before it is cut again: a large
// transaction, or a reader, may hold it up.
const (
	walPages = 512
	walMost  = 2 << 20
)

// dsn returns the data source of a file, with settings for each connection.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

// openWrites opens the one connection that writes.
func openWrites(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path,
		"journal_mode(WAL)", "synchronous(FULL)", "secure_delete(FAST)", "temp_store(MEMORY)", "cache_size(-2048)",
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages), fmt.Sprintf("journal_size_limit(%d)", walMost)))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// openReads opens a few connections that only read.
func openReads(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "query_only(1)", "temp_store(MEMORY)", "cache_size(-1024)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(2)
	return db, nil
}

// prepare leaves a database of the present format at the path, whatever is
// there now.
func prepare(ctx context.Context, cfg Config) error {
	recall(cfg.Path)
	if err := private(cfg.Path); err != nil {
		return err
	}
	clearLeftovers(cfg.Path)
	db, err := openWrites(cfg.Path)
	if err != nil {
		return err
	}
	err = check(ctx, db)
	if err == nil {
		err = migrate(ctx, db, cfg.Path)
	}
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if isBroken(err) {
		return salvage(ctx, cfg, err)
	}
	return describeAt(err, filepath.Dir(cfg.Path))
}

// private makes the file, if it is not there, for nobody else to read; what
// SQLite puts beside it gets the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// check reads the whole database if it was not closed properly.
func check(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil || version == 0 {
		return err
	}
	var open int
	err := db.QueryRowContext(ctx, "SELECT count(*) FROM dict WHERE name = 'store' AND key = 'open'").Scan(&open)
	if err != nil || open == 0 {
		return err
	}
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", errBroken, result)
	}
	return nil
}

var errBroken = errors.New("the database is damaged")

func isBroken(err error) bool {
	if errors.Is(err, errBroken) {
		return true
	}
	code := primary(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// primary returns SQLite's primary result code, or 0.
func primary(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// describe turns SQLite's way to say that the disk is full into ours.
func describe(err error) error {
	if err == nil {
		return nil
	}
	if primary(err) == sqlite3.SQLITE_FULL || errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w (%w)", history.ErrFull, err)
	}
	return err
}

// describeAt does so for an error of the file or folder at path, and tells a
// full disk (ENOSPC) from a store that is as large as it may be. A full disk
// shows up as an input/output error, too, where the shared index could not grow.
func describeAt(err error, path string) error {
	code := primary(err)
	if (code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR) && free(path) < 1<<20 {
		return fmt.Errorf("%w (%w: %w)", history.ErrFull, syscall.ENOSPC, err)
	}
	return describe(err)
}

// free returns the bytes that the file system of path has left for us; where
// it does not say, plenty.
func free(path string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 1 << 62
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

// clearLeftovers removes the halves of a backup that a cut left behind.
func clearLeftovers(path string) {
	for _, suffix := range []string{restoring, restoring + "-wal", restoring + "-shm", restoring + "-journal"} {
		_ = os.Remove(path + suffix)
	}
}
