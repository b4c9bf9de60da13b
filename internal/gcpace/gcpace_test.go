package gcpace

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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

// setting reads GOGC without touching it.
func setting() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

// within gives the finalizers' goroutine, which sees the collections, its time.
func within(t *testing.T, d time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s; the setting is %d", d, what, setting())
		}
	}
}

func TestCollectsRarelyUnderLoadAndTidiesUp(t *testing.T) {
	stop := Start()
	defer stop()
	if got := setting(); got != calmPercent {
		t.Errorf("begins with %d", got)
	}
	within(t, 10*time.Second, "a raised setting under load", func() bool {
		load(10)
		return setting() > 100
	})
	within(t, 10*time.Second, "800 MB with at most 80 collections", func() bool { return load(800) <= 80 })
	within(t, 10*time.Second, "the calm setting after the load", func() bool {
		time.Sleep(50 * time.Millisecond)
		return setting() == calmPercent
	})
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
