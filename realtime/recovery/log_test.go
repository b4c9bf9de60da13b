package recovery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"server22.local/appliance/realtime/packet"
)

func event(t testing.TB, name string, args ...any) *packet.Packet {
	t.Helper()
	p, err := packet.NewEvent("/", name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(entries []Entry) (list string) {
	for _, e := range entries {
		list += e.Packet.Name()
	}
	return list
}

func appended(t testing.TB, l Log, name string, rooms ...string) string {
	t.Helper()
	offset, err := l.Append(Entry{Packet: event(t, name), Rooms: rooms})
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

func TestMemorySince(t *testing.T) {
	m := NewMemory(Limits{})
	start := m.Offset()
	a := appended(t, m, "a")
	b := appended(t, m, "b")
	for offset, want := range map[string]string{start: "ab", a: "b", b: "", m.Offset(): ""} {
		if got, ok := m.Since(offset); !ok || names(got) != want {
			t.Errorf("since %s: %s, %v", offset, names(got), ok)
		}
	}
	other := NewMemory(Limits{})
	for _, offset := range []string{"", "x", ".", other.Offset(), m.epoch + ".3", m.epoch + ".zzzzzzzzzzzzzz", "a message that ends in a string"} {
		if got, ok := m.Since(offset); ok {
			t.Errorf("%q is an offset: %s", offset, names(got))
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(Limits{Bytes: 3000, Window: time.Minute, Sessions: 3})
		first := appended(t, m, "a")
		for range 50 {
			appended(t, m, "b")
		}
		if m.bytes > 3000 {
			t.Errorf("%d bytes kept", m.bytes)
		}
		if _, ok := m.Since(first); ok {
			t.Error("an offset is known whose followers are gone")
		}
		last := m.Offset()
		time.Sleep(2 * time.Minute)
		appended(t, m, "c")
		if len(m.entries) != 1 {
			t.Errorf("%d entries after the window", len(m.entries))
		}
		if got, ok := m.Since(last); !ok || names(got) != "c" {
			t.Errorf("since the last: %s, %v", names(got), ok)
		}

		for i := range 10 {
			m.SaveSession(Session{PID: fmt.Sprint(i), Ended: time.Now()})
		}
		if len(m.sessions) > 3 {
			t.Errorf("%d sessions kept", len(m.sessions))
		}
		if _, ok := m.TakeSession("9"); !ok {
			t.Error("the newest session is gone")
		}
		if _, ok := m.TakeSession("9"); ok {
			t.Error("a session was taken twice")
		}
		time.Sleep(2 * time.Minute)
		if _, ok := m.TakeSession("8"); ok {
			t.Error("a session was taken after its window")
		}
	})
}

func TestEntryFor(t *testing.T) {
	for _, tt := range []struct {
		rooms, except, session string
		want                   bool
	}{
		{"", "", "a", true}, {"a b", "", "b c", true}, {"a", "", "b", false}, {"a", "b", "a b", false}, {"", "b", "a", true},
	} {
		e := Entry{Rooms: strings.Fields(tt.rooms), Except: strings.Fields(tt.except)}
		if got := e.For(strings.Fields(tt.session)); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func openFile(t *testing.T, path string) *File {
	t.Helper()
	f, err := OpenFile(path, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFileSurvivesRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := openFile(t, path)
	start := f.Offset()
	a := appended(t, f, "a", "room")
	if _, err := f.Append(Entry{Packet: event(t, "b", map[string]any{"x": []byte("bytes")})}); err != nil {
		t.Fatal(err)
	}
	f.SaveSession(Session{ID: "left", PID: "1", Rooms: []string{"room"}, Start: start, Ended: time.Now(), Data: map[string]json.RawMessage{"k": json.RawMessage(`"v"`)}})
	f.SaveSession(Session{ID: "live", PID: "2", Start: start})
	f.SaveSession(Session{ID: "taken", PID: "3", Ended: time.Now()})
	f.TakeSession("3")
	last := f.Offset()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	f = openFile(t, path)
	defer f.Close()
	if got, ok := f.Since(start); !ok || names(got) != "ab" || got[0].Rooms[0] != "room" || !bytes.Equal(got[1].Packet.Attachments[0], []byte("bytes")) {
		t.Errorf("since the start: %+v, %v", got, ok)
	}
	if got, ok := f.Since(a); !ok || names(got) != "b" {
		t.Errorf("since the first: %s, %v", names(got), ok)
	}
	if s, ok := f.TakeSession("1"); !ok || s.ID != "left" || string(s.Data["k"]) != `"v"` {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := f.TakeSession("2"); !ok || s.ID != "live" {
		t.Errorf("the session that was connected: %+v, %v", s, ok)
	}
	if _, ok := f.TakeSession("3"); ok {
		t.Error("a session that was taken is back")
	}
	if c := appended(t, f, "c"); c == last || strings.HasPrefix(c, strings.Split(last, ".")[0]) {
		t.Errorf("offset %s after %s", c, last)
	}
}

// TestFileOutlivesFaults: what comes after a write that failed is durable again.
func TestFileOutlivesFaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := openFile(t, path)
	first := appended(t, f, "a")
	f.flush()
	f.fileMu.Lock()
	f.file.Close() // the disk is gone
	f.fileMu.Unlock()
	appended(t, f, "b")
	f.flush()
	if err := f.SaveSession(Session{PID: "1"}); err == nil {
		t.Error("the fault is not told")
	}
	appended(t, f, "c")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = openFile(t, path)
	defer f.Close()
	if got, ok := f.Since(first); !ok || names(got) != "bc" {
		t.Errorf("after the fault: %s, %v", names(got), ok)
	}
}

// TestStrangersCostNoWrites: a private id that nobody has is not worth a record.
func TestStrangersCostNoWrites(t *testing.T) {
	f := openFile(t, filepath.Join(t.TempDir(), "log"))
	defer f.Close()
	for i := range 100 {
		f.TakeSession(fmt.Sprint("stranger", i))
	}
	f.fileMu.Lock()
	defer f.fileMu.Unlock()
	if len(f.queue) > 0 {
		t.Errorf("%d records wait to be written", len(f.queue))
	}
}

// TestFileNeverReusesOffsets: a client may know an offset that the file has
// lost.
func TestFileNeverReusesOffsets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := openFile(t, path)
	appended(t, f, "a")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	durable, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f = openFile(t, path)
	lost := appended(t, f, "lost")
	f.Close()

	// The power was cut within the record that follows.
	if err := os.WriteFile(path, append(durable, `{"packet":{"offs`...), 0o600); err != nil {
		t.Fatal(err)
	}
	f = openFile(t, path)
	defer f.Close()
	appended(t, f, "instead")
	appended(t, f, "more")
	if got, ok := f.Since(lost); ok {
		t.Errorf("the lost offset is taken for another: %s", names(got))
	}
}

func TestFileIsRewritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := OpenFile(path, Limits{Bytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 1000)
	for range 3000 {
		if _, err := f.Append(Entry{Packet: event(t, "e", text)}); err != nil {
			t.Fatal(err)
		}
	}
	last := appended(t, f, "last")
	f.flush()
	info, err := os.Stat(path)
	if err != nil || info.Size() > 2*minRewrite {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = openFile(t, path)
	defer f.Close()
	if _, ok := f.Since(last); !ok {
		t.Error("the last offset is lost")
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"before":"x.5"}` + "\n" + `{"packet":{"offset":"x.6","args":["\"a\""]}}` + "\n" + `{"session":{"pid":"1"}}` + "\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := OpenFile(path, Limits{})
		if err != nil {
			return
		}
		if _, ok := l.Since(l.Offset()); !ok {
			t.Error("the log does not know its own offset")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	m := NewMemory(Limits{})
	p := event(b, "message", "hello")
	b.ReportAllocs()
	for b.Loop() {
		m.Append(Entry{Packet: p})
	}
}

// TestFlappingSession: one that comes and goes is one.
func TestFlappingSession(t *testing.T) {
	m := NewMemory(Limits{Sessions: 3})
	save := func(pid string) { m.SaveSession(Session{PID: pid, Ended: time.Now()}) }
	for range 5 {
		save("flapping")
		m.TakeSession("flapping")
	}
	for _, pid := range []string{"flapping", "a", "b", "b"} {
		save(pid)
	}
	for _, pid := range []string{"a", "b", "flapping"} {
		if _, ok := m.TakeSession(pid); !ok {
			t.Errorf("the session %q is gone", pid)
		}
	}
	if !m.Until().IsZero() {
		t.Error("something is left")
	}
}

// TestFileIsClosedOnce, whoever closes it.
func TestFileIsClosedOnce(t *testing.T) {
	f, err := OpenFile(filepath.Join(t.TempDir(), "log"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	appended(t, f, "late")
	if len(f.queue) > 0 {
		t.Error("a closed file gathers what it will never write")
	}
}
