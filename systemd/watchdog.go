package systemd

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Watchdog feeds systemd's watchdog (WatchdogSec=) for as long as Check
// passes. A process that hangs, or that no longer does its work, is not fed,
// and systemd restarts it.
type Watchdog struct {
	// Check proves that the daemon does its work. It is called twice in each
	// watchdog period, and must return when its context ends, a quarter of the
	// period later.
	Check func(context.Context) error
	// Failed is told about a check that did not pass; may be nil.
	Failed func(error)
}

// Run feeds until the context ends. Without a watchdog to feed it only waits.
func (w Watchdog) Run(ctx context.Context) error {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("reading the watchdog's period: %w", err)
	}
	if period == 0 {
		<-ctx.Done()
		return nil
	}
	return w.feed(ctx, period)
}

func (w Watchdog) feed(ctx context.Context, period time.Duration) error {
	ticks := time.NewTicker(period / 2)
	defer ticks.Stop()
	for {
		if err := w.check(ctx, period/4); err == nil {
			if err := notify("WATCHDOG=1"); err != nil {
				return err
			}
		} else if ctx.Err() == nil && w.Failed != nil {
			w.Failed(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func (w Watchdog) check(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return w.Check(ctx)
}
