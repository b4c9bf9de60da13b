package app

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A page asks for what came after the line that it has, which may be one of
// before a restart, or of before the clock was set back.
func TestEventsAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := func(n int) *eventRing {
			log := newEventLog(slog.DiscardHandler)
			for range n {
				slog.New(log).Info("line")
			}
			return log.ring
		}
		before := lines(3)
		seen := before.after(0)
		if len(seen) != 3 || len(before.after(seen[1].ID)) != 1 {
			t.Fatalf("the log is %v", seen)
		}
		time.Sleep(time.Second)
		if news := lines(5).after(seen[2].ID); len(news) != 5 {
			t.Errorf("after a restart %d of 5 lines are new", len(news))
		}
		if news := lines(2).after(seen[2].ID + 1e9); len(news) != 2 {
			t.Errorf("with the clock set back %d of 2 lines are new", len(news))
		}
	})
}
