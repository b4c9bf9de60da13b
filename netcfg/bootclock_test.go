package netcfg

import (
	"context"
	"testing"
	"time"
)

func TestBootClock(t *testing.T) {
	clock := newBootClock()
	if d := clock.slept(); d != 0 {
		t.Errorf("slept %v without a sleep", d)
	}
	clock.asleep -= time.Minute
	if d := clock.slept(); (d - time.Minute).Abs() > time.Second {
		t.Errorf("slept %v; want a minute", d)
	}
	if d := clock.slept(); d != 0 {
		t.Errorf("slept %v more", d)
	}
}

func TestWatchingTheClockEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watchClock(ctx, func() {})
	}()
	cancel()
	<-ended
}
