package blackbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *Box {
	t.Helper()
	b, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func kinds(t *testing.T, dir string) []string {
	t.Helper()
	events, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range events {
		list = append(list, e.Kind)
	}
	return list
}

func TestEventsAreWrittenTogetherAndAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()

		b.Record(KindStart, "1.0", nil)
		if got := kinds(t, dir); !slices.Equal(got, []string{KindStart}) {
			t.Errorf("a start is on disk at once; there is %v", got)
		}
		b.Record("network", "carrier lost", map[string]string{"iface": "eth0"})
		time.Sleep(linger / 2)
		b.Record("network", "carrier", nil)
		if got := kinds(t, dir); len(got) != 1 {
			t.Errorf("written too early: %v", got)
		}
		time.Sleep(linger)
		synctest.Wait()
		if got := kinds(t, dir); len(got) != 3 {
			t.Errorf("not written after %v: %v", linger, got)
		}
		b.Record("network", "last", nil)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := kinds(t, dir); len(got) != 4 {
			t.Errorf("the last one is lost: %v", got)
		}
	})
}

func TestAnUncleanEndIsFound(t *testing.T) {
	tests := []struct {
		name string
		run  func(b *Box) // the run before
		want string       // of the unclean event's text; "" for none
	}{
		{"stopped", func(b *Box) { b.Record(KindStart, "", nil); b.Record(KindStop, "", nil) }, ""},
		{"killed", func(b *Box) { b.Record(KindStart, "", nil) }, "crashed"},
		{"power", func(b *Box) { b.boot = "another"; b.Record(KindStart, "", nil) }, "power"},
		{"torn", func(b *Box) {
			b.Record(KindStart, "", nil)
			b.file.WriteString(`{"time":"2026-`)
		}, "crashed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			before := open(t, dir)
			tt.run(before)
			before.file.Close()

			b := open(t, dir)
			if err := b.close(); err != nil {
				t.Fatal(err)
			}
			events, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			last := events[len(events)-1]
			if found := last.Kind == KindUnclean; found != (tt.want != "") || !strings.Contains(last.Text, tt.want) {
				t.Errorf("the last event is %s %q; want %q", last.Kind, last.Text, tt.want)
			}
		})
	}
}

// What crashes at each start, for hours, does not push out what led to it; and
// the run that lasts at last is told.
func TestACrashLoopDoesNotFillTheBox(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		b.Record("network", "the cause", nil)
		for range 1000 {
			b.Record(KindStart, strings.Repeat("x", 100), nil)
			b.file.Close()
			b = open(t, dir)
		}
		events, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if events[0].Text != "the cause" || len(events) > 3*maxCrashes {
			t.Errorf("%d events, the first is %+v", len(events), events[0])
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		b.Record(KindStart, "at last", nil)
		go func() { done <- b.Run(ctx) }()
		time.Sleep(2 * linger)
		synctest.Wait()
		events, err = Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if last := events[len(events)-1]; last.Text != "at last" {
			t.Errorf("the last event is %+v", last)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestTheBoxIsBoundedAndKeepsTheNewest(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	text := strings.Repeat("x", 200)
	const n = 2000
	for i := range n {
		b.Record("network", fmt.Sprintf("%d %s", i, text), nil)
		b.mu.Lock()
		b.flush()
		b.mu.Unlock()
		if i%400 == 0 { // over restarts too
			b.file.Close()
			b = open(t, dir)
		}
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	var size int64
	for i := range 2 {
		info, err := os.Stat(path(dir, i))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > Size {
		t.Errorf("the box takes %d bytes, more than %d", size, Size)
	}
	events, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if last := events[len(events)-1]; !strings.HasPrefix(last.Text, fmt.Sprint(n-1)) {
		t.Errorf("the last event is %q", last.Text[:10])
	}
	if len(events) < 300 {
		t.Errorf("only %d events are kept", len(events))
	}
}

// A stop that a storm swallowed would be an unclean end at the next start.
func TestAStormDoesNotSwallowTheStop(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	for range 10_000 {
		b.Record("network", "flap", nil)
	}
	b.Record(KindStop, "", nil)
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	if got := kinds(t, dir); !slices.Contains(got, KindStop) {
		t.Errorf("the stop is not among %d events", len(got))
	}
}

func TestAStormIsCounted(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	for range 10_000 {
		b.Record("network", "flap", nil)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	events, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if last := events[len(events)-1]; last.Kind != KindDropped || len(events) > 1000 {
		t.Errorf("%d events, the last %s %q", len(events), last.Kind, last.Text)
	}
}
