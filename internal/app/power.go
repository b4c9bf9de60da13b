package app

import (
	"context"
	"time"

	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/power"
)

// powerSettle is how long a supply must hold until the notice goes.
const powerSettle = 10 * time.Minute

// followPower tells of a supply that is too weak, on machines that measure it.
// The black box keeps when.
func (a *App) followPower(ctx context.Context) error {
	alarm := power.Alarm(power.Class)
	if alarm == "" {
		<-ctx.Done()
		return nil
	}
	return power.Watch(ctx, alarm, powerSettle, a.reportPower)
}

func (a *App) reportPower(low bool) {
	const id = "power"
	if !low {
		a.health.Clear(id)
		return
	}
	a.health.Set(health.Condition{
		ID: id, Code: health.PowerLow, Severity: health.Warning,
		Text: "the power supply's voltage is too low",
		Hint: "use another power supply or cable; a card may be damaged otherwise",
	})
}
