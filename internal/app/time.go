package app

import (
	"context"
	"time"

	"server22.local/appliance/internal/health"
)

// clockCheck is how often an unset clock is looked at: the kernel does not
// tell when a time server has set it.
const clockCheck = 10 * time.Second

// followClock says so for as long as nobody has told the time, and ends then.
func (a *App) followClock(ctx context.Context) error {
	ticks := time.NewTicker(clockCheck)
	defer ticks.Stop()
	for {
		if _, set := a.clock.Now(); set {
			a.health.Clear("clock")
			<-ctx.Done()
			return nil
		}
		a.health.Set(health.Condition{
			ID: "clock", Code: health.ClockUnset, Severity: health.Info, Text: "nobody has told this device the time yet; times are marked",
			Hint: "log in at /admin/: the page tells it, as a time server would",
		})
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// SetClock is admin.Backend's: the administrator's browser tells the time.
func (a *App) SetClock(now time.Time) {
	if a.clock.Source() == "system" {
		return
	}
	a.clock.Set(now, "browser")
	a.health.Clear("clock")
	a.log.Info("the time was told", "by", "browser", "time", now.UTC().Format(time.RFC3339))
}
