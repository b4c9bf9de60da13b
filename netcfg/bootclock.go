package netcfg

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// bootClock notices that the machine has slept: CLOCK_BOOTTIME goes on, while
// the clock that timers run by stands still.
type bootClock struct{ asleep time.Duration }

func newBootClock() *bootClock { return &bootClock{asleep: timeAsleep()} }

// slept returns how long the machine has slept since the last call; 0 if that is
// less than a moment.
func (b *bootClock) slept() time.Duration {
	asleep := timeAsleep()
	longer := asleep - b.asleep
	b.asleep = asleep
	if longer < 2*time.Second {
		return 0
	}
	return longer
}

func timeAsleep() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}

// watchClock calls changed when the clock on the wall has been set, as the
// kernel does after a sleep, until ctx ends (timerfd_create(2),
// TFD_TIMER_CANCEL_ON_SET). Where that cannot be had it just returns: there is a
// look each minute anyway.
func watchClock(ctx context.Context, changed func()) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return
	}
	timer := os.NewFile(uintptr(fd), "clock")
	defer timer.Close()
	defer context.AfterFunc(ctx, func() { _ = timer.Close() })()
	never := unix.ItimerSpec{Value: unix.NsecToTimespec(time.Now().AddDate(100, 0, 0).UnixNano())}
	raw, err := timer.SyscallConn()
	if err != nil {
		return
	}
	for {
		var setErr error
		err := raw.Control(func(fd uintptr) {
			setErr = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil)
		})
		if err != nil || setErr != nil {
			return
		}
		if _, err := timer.Read(make([]byte, 8)); !errors.Is(err, unix.ECANCELED) {
			return
		}
		changed()
	}
}
