package bus

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/store"
)

// minutes is how long the sensor of TestSensor is to work, in its own time:
//
//	go test ./internal/bus -run Sensor -v -minutes 60
var minutes = flag.Int("minutes", 5, "of TestSensor's sensor")

// TestSensor publishes what a sensor does with 100 retained values a second, a
// thousand times as fast: the store, too, writes what is lazy a thousand times
// as often. Memory does not grow, and the card is hardly written to.
func TestSensor(t *testing.T) {
	const faster = 1000
	rounds := *minutes * 60 // of 100 values: a second each, were it not faster
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := store.Open(t.Context(), store.Config{
		Path: path, Logs: map[string]store.LogConfig{"bus": {}},
		LazyAfter: 2 * time.Second / faster, LazyEvery: 30 * time.Second / faster,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stored := make(chan error, 1)
	go func() { stored <- s.Run(ctx) }()
	b, err := Open(t.Context(), Config{Log: s.Log("bus"), Retained: s.Dict("retained"), State: s.Dict("bus")})
	if err != nil {
		t.Fatal(err)
	}
	second := func(i int) (bytes int) {
		for j := range 100 {
			body := fmt.Appendf(nil, `{"c":%.2f,"n":%d}`, 20+float64(j)/100, i)
			publish(t, b, Publication{Topic: "lab/temp", Value: ParseValue(body), Retain: true})
			bytes += len(body)
		}
		return bytes
	}
	for i := range 60 { // until everything that is bounded is full
		second(i)
	}
	heap, disk := heapInUse(), diskWrites(t)
	payload := 0
	began, before := time.Now(), s.Stats().Commits
	ticks := time.NewTicker(time.Second / faster)
	defer ticks.Stop()
	for i := range rounds {
		<-ticks.C
		payload += second(i)
	}
	grown := int64(heapInUse()) - int64(heap)
	b.Close()
	cancel()
	if err := <-stored; err != nil {
		t.Error(err)
	}
	took, commits := time.Since(began), s.Stats().Commits-before
	t.Logf("%d values, %d bytes: %d transactions; the heap grew by %d bytes", 100*rounds, payload, commits, grown)
	// One transaction in 30 s of the sensor's for the value, or in 30 ms of
	// ours, and one for each block of numbers.
	if most := int64(took/(30*time.Second/faster)) + int64(2*100*rounds/block+20); commits > most {
		t.Errorf("%v took %d transactions; want %d at most", took, commits, most)
	}
	if grown > 2<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	wrote := diskWrites(t) - disk // in memory it would be none
	ratio := float64(wrote) / float64(payload)
	t.Logf("written to the disk: %d bytes, %.2f per byte of payload", wrote, ratio)
	// A machine that is slower than a thousand times needs more of the 30 ms.
	if slow := max(1, took.Seconds()/(float64(rounds)/faster)); ratio/slow > 1 {
		t.Errorf("%.2f bytes are written for a byte", ratio)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// diskWrites returns the bytes that this process has caused to be written to
// devices (proc(5)).
func diskWrites(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}
