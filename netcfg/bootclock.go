package netcfg

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootClock notices that the machine has slept: CLOCK_BOOTTIME goes on, while
// the clock that timers run by stands still.
type bootClock struct{ asleep time.Duration }

func newBootClock() *bootClock { return &bootClock{asleep: timeAsleep()} }

// slept says whether the machine has slept for more than a moment since the
// last call.
func (b *bootClock) slept() bool {
	asleep := timeAsleep()
	longer := asleep-b.asleep > 2*time.Second
	b.asleep = asleep
	return longer
}

func timeAsleep() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
