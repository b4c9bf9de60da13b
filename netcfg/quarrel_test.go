package netcfg

import (
	"testing"
	"time"
)

func TestQuarrel(t *testing.T) {
	var q quarrel
	now := time.Now()
	made := 0
	for range 100 { // somebody undoes a change every 100 ms
		if !q.tooHot(now) {
			made++
		}
		now = now.Add(100 * time.Millisecond)
	}
	if made < quarrelChanges || made > quarrelChanges+2 {
		t.Errorf("%d changes in 10 s", made)
	}
	if !q.hot(now) {
		t.Error("nothing to report")
	}
	now = now.Add(time.Minute)
	if q.hot(now) || q.tooHot(now) {
		t.Error("it is not over after a minute of peace")
	}
	var calm quarrel
	for range 100 {
		if calm.tooHot(now) {
			t.Fatal("a change a second is no quarrel")
		}
		now = now.Add(time.Second)
	}
}
