package netcfg

import (
	"errors"
	"slices"
	"time"
)

// quarrel notices that somebody undoes our changes as fast as we make them.
// Whoever that is has a reason, and two programs that fight are worse than one
// that is wrong: we go on, but slowly, and say so.
type quarrel struct{ changes []time.Time }

const (
	// As many changes in that time are no normal life: a lease, a cable and an
	// administrator together make less than half of them.
	quarrelChanges = 30
	quarrelTime    = 10 * time.Second
	quarrelPause   = 5 * time.Second
)

var errQuarrel = errors.New("another program keeps undoing what is configured here; trying again slowly")

// tooHot says that a change should wait. A change that need not is counted.
func (q *quarrel) tooHot(now time.Time) bool {
	q.forget(now)
	if len(q.changes) >= quarrelChanges && now.Sub(q.changes[len(q.changes)-1]) < quarrelPause {
		return true
	}
	q.changes = append(q.changes, now)
	return false
}

// hot says that there is a quarrel.
func (q *quarrel) hot(now time.Time) bool {
	q.forget(now)
	return len(q.changes) >= quarrelChanges
}

// forget drops what is long ago; in a quarrel of slow changes that is more.
func (q *quarrel) forget(now time.Time) {
	keep := quarrelTime
	if len(q.changes) >= quarrelChanges {
		keep = quarrelPause * 3
	}
	q.changes = slices.DeleteFunc(q.changes, func(at time.Time) bool { return now.Sub(at) > keep })
}
