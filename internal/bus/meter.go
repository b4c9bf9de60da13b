package bus

import (
	"math"
	"time"
)

// meterSpan is over which time a rate is averaged: what is older counts less.
const meterSpan = 5 * time.Second

// meter estimates messages a second.
type meter struct {
	value float64
	at    time.Time
}

func (m *meter) count(now time.Time) {
	m.value = m.rate(now) + 1/meterSpan.Seconds()
	m.at = now
}

func (m *meter) rate(now time.Time) float64 {
	if m.value == 0 {
		return 0
	}
	return m.value * math.Exp(-max(0, now.Sub(m.at).Seconds())/meterSpan.Seconds())
}
