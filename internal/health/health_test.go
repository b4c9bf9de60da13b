package health

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConditionsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := New(slog.New(slog.NewTextHandler(&log, nil)))
		if got := Summary(r.Conditions()); got != "serving" {
			t.Errorf("summary %q", got)
		}

		changed := r.Changed()
		r.Set(Condition{ID: "clock", Severity: Info, Text: "the clock was never set"})
		<-changed
		time.Sleep(time.Minute)
		r.Set(Condition{ID: "name-conflict", Severity: Warning, Text: "server22 is taken"})
		r.Set(Condition{ID: "store", Severity: Error, Text: "the disk is full"})
		began := time.Now()
		time.Sleep(time.Minute)
		r.Set(Condition{ID: "store", Severity: Error, Text: "the disk is full still"})

		got := r.Conditions()
		if len(got) != 3 || got[0].ID != "store" || got[1].ID != "name-conflict" || got[2].ID != "clock" {
			t.Fatalf("conditions %+v", got)
		}
		if !got[0].Since.Equal(began) || got[0].Text != "the disk is full still" {
			t.Errorf("a new text changed the beginning: %+v", got[0])
		}
		if Worst(got) != Error || Summary(got) != "the disk is full still (and 2 more)" {
			t.Errorf("worst %q, summary %q", Worst(got), Summary(got))
		}

		changed = r.Changed()
		r.Set(got[0]) // nothing new
		select {
		case <-changed:
			t.Error("a condition that stayed the same was announced")
		default:
		}
		r.Clear("store")
		r.Clear("store")
		<-changed
		if n := strings.Count(log.String(), "\n"); n != 5 {
			t.Errorf("%d lines in the log:\n%s", n, &log)
		}
	})
}

func TestInfoIsStillServing(t *testing.T) {
	if got := Summary([]Condition{{Severity: Info, Text: "a"}}); got != "serving" {
		t.Errorf("summary %q", got)
	}
}
