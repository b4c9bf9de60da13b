package clock

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Linux is the kernel's clock. The zero value is the running system's; safe
// for concurrent use.
type Linux struct {
	// Root is the folder that /sys and /proc are in, "" is "/".
	Root string
	// Adjtimex is unix.Adjtimex; nil is that.
	Adjtimex func(*unix.Timex) (int, error)

	mu      sync.Mutex // guards all following fields
	checked time.Time
	trusted bool
}

// recheck is how old an answer may be: a time server's first answer is noticed
// that late.
const recheck = 5 * time.Second

// born is before this program was written: a clock that says so is wrong.
var born = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Trusted believes a clock that a time server disciplines, and one that was
// read from a battery-backed clock. On a machine that is no small board it
// believes what it finds: only boards come without such a clock.
func (l *Linux) Trusted() bool {
	now := time.Now()
	if now.Before(born) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trusted || !l.checked.IsZero() && now.Sub(l.checked) < recheck {
		return l.trusted
	}
	l.checked = now
	l.trusted = !l.isBoard() || l.hasClock() || l.synchronised()
	return l.trusted
}

func (l *Linux) path(name string) string { return filepath.Join("/", l.Root, name) }

// isBoard reports whether a device tree describes the machine.
func (l *Linux) isBoard() bool {
	_, err := os.Stat(l.path("proc/device-tree/model"))
	return err == nil
}

// hasClock reports whether the kernel took the time from a real-time clock.
func (l *Linux) hasClock() bool {
	files, err := filepath.Glob(l.path("sys/class/rtc/rtc*/hctosys"))
	if err != nil {
		return false
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == "1" {
			return true
		}
	}
	return false
}

// synchronised reports whether a time server disciplines the kernel's clock.
func (l *Linux) synchronised() bool {
	adjtimex := l.Adjtimex
	if adjtimex == nil {
		adjtimex = unix.Adjtimex
	}
	var t unix.Timex
	state, err := adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
