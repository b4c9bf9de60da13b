package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"server22.local/appliance/realtime/history"
)

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Path: filepath.Join(dir, "store.db")})
	chat := s.Log("chat")
	say(t, chat, history.Message{Channel: "lobby", Data: []byte("kept")})
	if err := s.Dict("retained").PutWait(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "backup.db")
	if err := s.Backup(t.Context(), backup, map[string][]byte{"settings.toml": []byte("name = 'x'")}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		say(t, chat, history.Message{Channel: "lobby", Data: []byte("lost")})
	}
	say(t, chat, history.Message{Channel: "later", Data: []byte("lost")})

	files, err := s.Restore(t.Context(), backup)
	if err != nil || string(files["settings.toml"]) != "name = 'x'" {
		t.Fatalf("restored %q, %v", files, err)
	}
	if r := say(t, chat, history.Message{Channel: "lobby", Data: []byte("after")}); r.Seq != 5 {
		t.Errorf("after the restore the next number is %d; 4 were seen", r.Seq)
	}
	if r := say(t, chat, history.Message{Channel: "later", Data: []byte("after")}); r.Seq != 2 {
		t.Errorf("in a channel that the backup does not know the next number is %d; 1 was seen", r.Seq)
	}
	if got := readAll(t, chat, history.Query{Channel: "lobby"}); !slices.Equal(got, []string{"kept", "after"}) {
		t.Errorf("read %q", got)
	}
	found, err := chat.Search(t.Context(), []string{"lobby"}, "kept", 10)
	if err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 4 { // the database, its log and index, the backup
		t.Errorf("the folder has %q, %v", left, err)
	}
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Path: filepath.Join(dir, "store.db")})
	say(t, s.Log("chat"), history.Message{Channel: "lobby", Data: []byte("kept")})
	bad := filepath.Join(dir, "bad.db")
	if err := os.WriteFile(bad, []byte("this is not a database, however long it may be"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{bad, filepath.Join(dir, "absent.db")} {
		if _, err := s.Restore(t.Context(), path); err == nil {
			t.Errorf("%s was restored", path)
		}
	}
	if got := readAll(t, s.Log("chat"), history.Query{Channel: "lobby"}); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("read %q", got)
	}
}

func TestDamageIsPutAsideAndSalvaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, stop := open(t, Config{Path: path})
	for i := range 2000 {
		s.Log("chat").Append(history.Message{Channel: "lobby", Data: fmt.Appendf(make([]byte, 100), "%d", i)}, nil)
	}
	say(t, s.Log("chat"), history.Message{Channel: "lobby", Data: []byte("last")})
	stop()
	leaveOpen(t, path)
	damage(t, path)

	var fault error
	s, _ = open(t, Config{Path: path, OnFault: func(err error) { fault = err }})
	if fault == nil {
		t.Error("nobody was told")
	}
	got := len(readAll(t, s.Log("chat"), history.Query{Channel: "lobby"}))
	if got < 1000 || got > 2000 {
		t.Errorf("%d of 2001 messages were saved", got)
	}
	if r := say(t, s.Log("chat"), history.Message{Channel: "lobby"}); r.Seq != 2002 {
		t.Errorf("the next number is %d", r.Seq)
	}
	if aside, _ := filepath.Glob(path + ".broken-*"); len(aside) == 0 {
		t.Error("the damaged file is gone")
	}
}

// leaveOpen makes the file look as after a crash.
func leaveOpen(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO dict VALUES ('store', 'open', '1')"); err != nil {
		t.Fatal(err)
	}
}

// damage overwrites pages in the middle.
func damage(t *testing.T, path string) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	junk := make([]byte, 8*pageSize)
	for i := range junk {
		junk[i] = byte(i * 7)
	}
	if _, err := f.WriteAt(junk, fi.Size()/pageSize/2*pageSize); err != nil {
		t.Fatal(err)
	}
}

func TestFormats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	set := func(query string) {
		t.Helper()
		db, err := sql.Open("sqlite", dsn(path))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	s, stop := open(t, Config{Path: path})
	say(t, s.Log("chat"), history.Message{Channel: "lobby", Data: []byte("kept")})
	stop()

	// A later version that only added something.
	set("PRAGMA user_version = 9; CREATE TABLE novelty (a)")
	s, stop = open(t, Config{Path: path})
	if got := readAll(t, s.Log("chat"), history.Query{Channel: "lobby"}); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("read %q", got)
	}
	stop()

	// One that this version cannot read.
	set("UPDATE dict SET value = 9 WHERE name = 'store' AND key = 'reader'")
	if s, err := Open(t.Context(), Config{Path: path}); err == nil {
		s.Close()
		t.Error("a format of the future was opened")
	}

	// An older one is copied before it is changed.
	steps = append(steps, "CREATE TABLE added (a);")
	defer func() { steps = steps[:1] }()
	set("PRAGMA user_version = 1; UPDATE dict SET value = 1 WHERE name = 'store' AND key = 'reader'")
	s, stop = open(t, Config{Path: path})
	if got := readAll(t, s.Log("chat"), history.Query{Channel: "lobby"}); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("read %q", got)
	}
	stop()
	if _, err := os.Stat(path + ".v1"); err != nil {
		t.Errorf("there is no copy of the older format: %v", err)
	}
	copied, err := Open(context.WithoutCancel(t.Context()), Config{Path: path + ".v1"})
	if err != nil {
		t.Fatal(err)
	}
	copied.Close()
}

func TestBackupHoldsLazyValues(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Path: filepath.Join(dir, "store.db")})
	values := s.Dict("retained")
	if err := values.PutWait(t.Context(), "gone", []byte("x")); err != nil {
		t.Fatal(err)
	}
	values.PutLazy("a", []byte("then"))
	values.PutLazy("gone", nil)
	backup := filepath.Join(dir, "backup.db")
	if err := s.Backup(t.Context(), backup, nil); err != nil {
		t.Fatal(err)
	}
	values.PutLazy("a", []byte("later"))
	values.PutLazy("b", []byte("later"))
	if _, err := s.Restore(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	got, err := values.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || string(got["a"]) != "then" {
		t.Errorf("restored %q", got)
	}
}
