package engineio

import (
	"slices"
	"sync"
	"time"
)

const (
	// lateFlush is how long output may wait for the handler that caused it.
	lateFlush = 5 * time.Millisecond
	// headStart is how long a packet that goes ahead is ahead of what follows.
	headStart = 5 * time.Millisecond
	// lateSlack is how much later either may be, so that one timer serves many.
	lateSlack = time.Millisecond
)

// lateList holds sockets whose output waits: for the handler that causes it to
// return, but not for long, or for what has gone ahead; and those whose next
// messages wait for a Worker. It has one timer, which runs while somebody waits.
type lateList struct {
	mu      sync.Mutex // guards all following
	sockets []lateSocket
	due     []*Socket
	timer   *time.Timer
}

// lateSocket is a socket that is to be flushed at a time of Server.now. All
// wait about equally long, so that they are listed in order.
type lateSocket struct {
	s  *Socket
	at time.Duration
}

func (l *lateList) add(s *Socket, at time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sockets = append(l.sockets, lateSocket{s, at})
	if len(l.sockets) > 1 {
		return
	}
	wait := at - s.server.now()
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, l.flush)
	} else {
		l.timer.Reset(wait)
	}
}

func (l *lateList) flush() {
	due := l.take()
	sc := takeScratch()
	for _, s := range due {
		s.mu.Lock()
		s.late = false
		s.mu.Unlock()
		s.flush(sc)
		s.relieve()
	}
	sc.release()

	clear(due)
	l.mu.Lock()
	l.due = due[:0]
	l.mu.Unlock()
}

// take takes those who are due, and sets the timer for the others.
func (l *lateList) take() []*Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := l.due
	l.due = nil
	now, n := l.sockets[0].s.server.now(), 0
	for n < len(l.sockets) && l.sockets[n].at <= now {
		due = append(due, l.sockets[n].s)
		n++
	}
	l.sockets = slices.Delete(l.sockets, 0, n)
	if len(l.sockets) > 0 {
		l.timer.Reset(max(l.sockets[0].at-now, lateSlack))
	}
	return due
}
