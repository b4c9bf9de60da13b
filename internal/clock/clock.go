// Package clock knows what time it is, and whether that is known at all: a
// small board has no clock of its own, and until somebody tells it the time it
// lives in the past. Nobody waits for that: times are marked instead.
package clock

import (
	"sync"
	"time"
)

// System is what the operating system says about its clock.
type System interface {
	// Trusted reports whether the system's clock was set by something that
	// knows the time: a time server, or a battery-backed clock.
	Trusted() bool
}

// Clock is the appliance's time. Safe for concurrent use.
type Clock struct {
	system System

	mu     sync.Mutex // guards all following fields
	told   time.Time  // by somebody who knows; zero if nobody did
	at     time.Time  // when it was told, on the monotonic clock
	source string
}

// New returns a clock that follows the system's, until it is told better.
func New(system System) *Clock { return &Clock{system: system} }

// Now returns the time and whether it was ever set. The system's clock wins
// as soon as it is trusted; before, what Set was told goes on from there.
func (c *Clock) Now() (now time.Time, set bool) {
	if c.system.Trusted() {
		return time.Now(), true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told.IsZero() {
		return time.Now(), false
	}
	return c.told.Add(time.Since(c.at)), true
}

// Set tells the time, and who says so. It does nothing to the system's clock.
func (c *Clock) Set(now time.Time, source string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.at, c.source = now, time.Now(), source
}

// Source says where the time is from: "system", what Set was told, or "".
func (c *Clock) Source() string {
	if c.system.Trusted() {
		return "system"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source
}
