package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"server22.local/appliance/internal/health"
)

// part is one long-lived piece of the appliance. run blocks until its context
// ends.
type part struct {
	name string
	run  func(context.Context) error
}

// Waits between the ends and new starts of a part that fails.
const (
	firstRestart = time.Second
	lastRestart  = time.Minute
	// steady is how long a part must run to count as repaired.
	steady = 10 * time.Second
)

// parts runs them together: one that fails turns up in health and is started
// anew after a while; the others go on.
type parts struct {
	health *health.Registry
	log    *slog.Logger
	wg     sync.WaitGroup
}

// start runs a part until the context ends.
func (p *parts) start(ctx context.Context, part part) {
	p.wg.Go(func() { p.supervise(ctx, part) })
}

// wait returns when all of them have ended.
func (p *parts) wait() { p.wg.Wait() }

func (p *parts) supervise(ctx context.Context, part part) {
	condition := "part-" + part.name
	for wait := firstRestart; ; wait = min(2*wait, lastRestart) {
		repaired := time.AfterFunc(steady, func() { p.health.Clear(condition) })
		began := time.Now()
		err := part.run(ctx)
		repaired.Stop()
		if ctx.Err() != nil {
			if err != nil {
				p.log.Warn("ended badly", "part", part.name, "err", err)
			}
			return
		}
		if time.Since(began) > steady {
			wait = firstRestart
		}
		p.health.Set(failed(condition, part.name, err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func failed(id, name string, err error) health.Condition {
	text := name + " has stopped"
	if err != nil {
		text += ": " + err.Error()
	}
	return health.Condition{ID: id, Code: health.ServerPart, Severity: health.Error, Text: text, Hint: "it is started again by itself; the log has more"}
}
