package main

import (
	"strconv"
	"time"
)

// seconds is a flag that takes a duration, or a bare number of seconds, as
// mosquitto_sub and timeout(1) do.
type seconds struct{ d *time.Duration }

func (s seconds) String() string {
	if s.d == nil || *s.d == 0 { // no time is no limit, which is no default to print
		return ""
	}
	return s.d.String()
}

func (s seconds) Type() string { return "duration" }

func (s seconds) Set(text string) error {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n < 1e9 {
		*s.d = time.Duration(n * float64(time.Second))
		return nil
	}
	d, err := time.ParseDuration(text)
	if err == nil {
		*s.d = d
	}
	return err
}
