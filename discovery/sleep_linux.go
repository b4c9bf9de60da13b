package discovery

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// asleep is the least difference between the clock that counts sleep and the
// one that does not that is taken for a sleep.
const asleep = time.Second

// watchSleep costs nothing while it waits: a timer of the kernel that never
// fires is cancelled when the wall clock jumps, which it does on waking up
// (timerfd_create(2)).
func (system) watchSleep(log *slog.Logger) (resumed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	f, err := clockJumps()
	if err != nil {
		log.Debug("sleep is not noticed", "err", err)
		return ch, func() {}
	}
	var wg sync.WaitGroup
	wg.Go(func() { notifySleep(f, ch) })
	return ch, func() {
		f.Close()
		wg.Wait()
	}
}

// clockJumps returns a file whose Read fails with ECANCELED when the wall
// clock jumps.
func clockJumps() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	if err := armClock(fd); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func armClock(fd int) error {
	// The last second that a 32-bit system can name.
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt32}}
	err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil)
	return os.NewSyscallError("timerfd_settime", err)
}

// notifySleep waits for jumps of the wall clock and tells sleep from a clock
// that was set.
func notifySleep(f *os.File, ch chan<- struct{}) {
	slept := sleepSoFar()
	var ticks [8]byte
	for {
		_, err := f.Read(ticks[:])
		if err != nil && !errors.Is(err, unix.ECANCELED) {
			return // closed
		}
		now := sleepSoFar()
		if now-slept < asleep {
			continue
		}
		slept = now
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// sleepSoFar is how long the host has slept since it was started.
func sleepSoFar() time.Duration {
	return clock(unix.CLOCK_BOOTTIME) - clock(unix.CLOCK_MONOTONIC)
}

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
