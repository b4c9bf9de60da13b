package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
)

// steps bring a database from one format to the next; the number of steps made
// is its user_version. A step only adds, so that the version before can still
// read what this one writes; where that is impossible it also raises
// dict's store/reader, the least format that a program must know.
//
// message.n is the channel's id and the message's number in one
// (see rowid): a channel's messages lie side by side in the order of their
// numbers, without an index beside the table.
//
// channel.settled is the number up to which the channel's count and bytes, and
// the full-text index, are complete: they are brought up to date once for many
// messages, and after a crash from the messages behind it.
var steps = []string{`
CREATE TABLE channel (
	id      INTEGER PRIMARY KEY,
	log     TEXT NOT NULL,
	name    TEXT NOT NULL,
	last    INTEGER NOT NULL DEFAULT 0,
	settled INTEGER NOT NULL DEFAULT 0,
	count   INTEGER NOT NULL DEFAULT 0,
	bytes   INTEGER NOT NULL DEFAULT 0,
	UNIQUE (log, name)
);
CREATE TABLE message (
	n           INTEGER PRIMARY KEY,
	time        INTEGER NOT NULL,
	flags       INTEGER NOT NULL DEFAULT 0,
	key         TEXT,
	event       TEXT,
	data        BLOB,
	attachments BLOB
);
CREATE UNIQUE INDEX message_key ON message (n >> 40, key) WHERE key IS NOT NULL;
CREATE TABLE dict (
	name  TEXT NOT NULL,
	key   TEXT NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (name, key)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5 (
	text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO dict VALUES ('store', 'reader', 1);
`}

// Bits of message.flags.
const (
	flagUnset   = 1 << iota // the time is of a clock that was never set
	flagDeleted             // the content was removed
)

// seqBits is the room that a message's number has in a rowid: 10^12 messages a
// channel, and 8 million channels.
const (
	seqBits = 40
	maxSeq  = 1<<seqBits - 1
)

func rowid(channel int64, seq uint64) int64 { return channel<<seqBits | int64(min(seq, maxSeq)) }

func seqOf(n int64) uint64 { return uint64(n) & maxSeq }

// migrate brings the database up to date. Before it changes one that holds
// something, it copies it to PATH.vN.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(steps) {
		return readable(ctx, db, version)
	}
	if version == len(steps) {
		return nil
	}
	if version > 0 {
		if err := copyBefore(ctx, db, fmt.Sprintf("%s.v%d", path, version)); err != nil {
			return fmt.Errorf("copying the database before its format changes: %w", err)
		}
	}
	for ; version < len(steps); version++ {
		if err := step(ctx, db, version); err != nil {
			return fmt.Errorf("bringing the database to format %d: %w", version+1, err)
		}
	}
	return nil
}

func step(ctx context.Context, db *sql.DB, from int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if _, err := tx.ExecContext(ctx, steps[from]+fmt.Sprintf("PRAGMA user_version = %d;", from+1)); err != nil {
		return err
	}
	return tx.Commit()
}

// readable refuses a database that a later version made unreadable for this one.
func readable(ctx context.Context, db *sql.DB, version int) error {
	var least int
	err := db.QueryRowContext(ctx, "SELECT value FROM dict WHERE name = 'store' AND key = 'reader'").Scan(&least)
	if err != nil {
		return err
	}
	if least > len(steps) {
		return fmt.Errorf("it has format %d of a later version; this one reads up to %d", version, len(steps))
	}
	return nil
}

func copyBefore(ctx context.Context, db *sql.DB, to string) error {
	if err := os.Remove(to); err != nil && !os.IsNotExist(err) {
		return err
	}
	_, err := db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}
