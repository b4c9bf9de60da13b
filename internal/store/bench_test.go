package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime/history"
)

// BenchmarkAppend stores chat messages of 200 bytes, so many at a time, and
// says what that wrote to the device: one at a time is a transaction each.
func BenchmarkAppend(b *testing.B) {
	for _, outstanding := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("outstanding=%d", outstanding), func(b *testing.B) {
			s, stop := open(b, Config{Path: filepath.Join(b.TempDir(), "store.db")})
			before := written(b)
			tickets := make(chan struct{}, outstanding)
			text := strings.Repeat("a few words ", 17)[:200]
			i := 0
			for b.Loop() {
				tickets <- struct{}{}
				s.Log("chat").Append(history.Message{Channel: "lobby", Time: time.Now(), Key: "device/" + strconv.Itoa(i), Data: []byte(text)},
					func(_ history.Receipt, err error) {
						if err != nil {
							b.Error(err)
						}
						<-tickets
					})
				i++
			}
			for range outstanding {
				tickets <- struct{}{}
			}
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric(float64(i)/float64(s.Stats().Commits), "msg/commit")
			stop()
			b.ReportMetric(float64(written(b)-before)/float64(i), "disk-B/msg")
		})
	}
}

// written returns the bytes that this process has caused to be written to
// devices (proc(5), /proc/pid/io).
func written(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Skip("the kernel does not count bytes written")
	return 0
}
