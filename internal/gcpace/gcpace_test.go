package gcpace

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

var kept []byte

// load allocates for a while and returns the number of collections.
func load(megabytes int) uint32 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range megabytes << 4 {
		kept = make([]byte, 64<<10)
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

func setting() int {
	p := debug.SetGCPercent(100)
	debug.SetGCPercent(p)
	return p
}

func TestCollectsRarelyUnderLoadAndTidiesUp(t *testing.T) {
	stop := Start()
	defer stop()
	if got := setting(); got != calmPercent {
		t.Errorf("begins with %d", got)
	}
	load(200) // the pace is found
	if n := load(800); n > 800/10 {
		t.Errorf("%d collections for 800 MB", n)
	}
	if got := setting(); got <= 100 {
		t.Errorf("under load the setting is %d", got)
	}
	for deadline := time.Now().Add(10 * time.Second); setting() != calmPercent; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("long after the load the setting is %d", setting())
		}
	}
}

func TestStopBringsTheSettingBack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(123))
	Start()()
	if got := setting(); got != 123 {
		t.Errorf("left at %d", got)
	}
}

func TestPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: maxPercent, 1 << 10: maxPercent, 4 << 20: 400, 16 << 20: 100, 1 << 30: calmPercent} {
		if got := percent(live); got != want {
			t.Errorf("%d bytes: %d, want %d", live, got, want)
		}
	}
}
