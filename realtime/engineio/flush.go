package engineio

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// inlineFlush is the size of a batch up to which its sockets are written
	// by whoever flushes it: sooner done than handed over.
	inlineFlush = 32
	// lateFlush is how long output may wait for the handler that caused it.
	lateFlush = 5 * time.Millisecond
	// headStart is how long a packet that goes ahead is ahead of what follows.
	headStart = 5 * time.Millisecond
	// lateSlack is how much later either may be, so that one timer serves many.
	lateSlack = time.Millisecond
)

// Batch collects sockets that have something to write. The zero value is
// ready; a Batch may be used again after Flush. It is not safe for concurrent
// use.
type Batch struct{ sockets []*Socket }

// Flush sees to it that what was sent with the batch is written: at once if
// it is for a few sockets, by a flusher of the server if it is for many. It does
// not block.
func (b *Batch) Flush() {
	if len(b.sockets) == 0 {
		return
	}
	if len(b.sockets) <= inlineFlush {
		sc := takeScratch()
		for _, s := range b.sockets {
			s.flush(sc)
		}
		sc.release()
	} else {
		b.sockets[0].server.flushers.add(b.sockets...)
	}
	clear(b.sockets)
	b.sockets = b.sockets[:0]
}

// flushers write on behalf of those who must not or should not. There is one
// goroutine as long as that is enough: the longer the queue, the more frames
// gather for each socket and leave in one write, which is what costs; two that
// share the work write twice as often. Others help with what would take one
// too long. None runs while there is nothing to do.
type flushers struct {
	mu      sync.Mutex // guards all following
	waiting []*Socket  // those before first are done with
	first   int
	running int
}

const (
	// flushCrowd is how many sockets may wait for one flusher: what it writes
	// in some 10 ms.
	flushCrowd = 2048
	// flushRun is how many a flusher takes at once.
	flushRun = 64
)

func (f *flushers) add(sockets ...*Socket) {
	f.mu.Lock()
	if f.first > len(f.waiting)/2 { // those before it are no more than are moved
		n := copy(f.waiting, f.waiting[f.first:])
		clear(f.waiting[n:])
		f.waiting, f.first = f.waiting[:n], 0
	}
	f.waiting = append(f.waiting, sockets...)
	start := f.running == 0 || len(f.waiting)-f.first > f.running*flushCrowd && f.running < runtime.GOMAXPROCS(0)
	if start {
		f.running++
	}
	f.mu.Unlock()
	if start {
		go f.run()
	}
}

func (f *flushers) run() {
	sc := takeScratch()
	defer sc.release()
	var run [flushRun]*Socket
	for {
		n := f.take(run[:])
		if n == 0 {
			return
		}
		for _, s := range run[:n] {
			s.flush(sc)
		}
	}
}

// take moves the sockets that have waited longest to dst. If there are none,
// the caller counts as running no more.
func (f *flushers) take(dst []*Socket) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(dst, f.waiting[f.first:])
	clear(f.waiting[f.first : f.first+n])
	f.first += n
	if f.first == len(f.waiting) {
		f.waiting, f.first = f.waiting[:0], 0
	}
	if n == 0 {
		f.running--
		if f.running == 0 && cap(f.waiting) > flushCrowd {
			f.waiting = nil
		}
	}
	return n
}

// lateList holds sockets whose output waits: for the handler that causes it to
// return, but not for long, or for what has gone ahead. It has one timer, which
// runs while somebody waits.
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

// flush writes all that is queued, as far as the connection takes it without
// waiting.
func (s *Socket) flush(sc *scratch) {
	s.mu.Lock()
	s.handed = false
	if s.ws == nil {
		if len(s.queue) > 0 {
			s.releasePoll()
		}
		s.mu.Unlock()
		return
	}
	for !s.writing && s.next(sc) {
		s.writing = true
		c := s.ws
		s.mu.Unlock()
		rest, err := c.tryWrite(sc)
		if err != nil {
			s.end(ReasonTransportError, err, broken)
			return // writing stays true: nothing more will be written
		}
		s.mu.Lock()
		if rest != nil {
			s.inFlight = size(rest)
			s.mu.Unlock()
			go s.drain(c, rest)
			return
		}
		s.writing = false
	}
	hangup := s.hangup && !s.writing
	s.mu.Unlock()
	if hangup {
		s.ws.shut()
	}
}

// next moves what is to be written now to sc, if anything is; mu is held. The
// answer to the upgrade goes alone, and ahead of all else.
func (s *Socket) next(sc *scratch) bool {
	sc.items = sc.items[:0]
	if s.ws.head != nil {
		s.rest()
		return true
	}
	if len(s.queue) == 0 || s.rests() {
		return false
	}
	sc.items = s.take(sc.items)
	if sc.items[len(sc.items)-1].ahead {
		s.rest()
	}
	return true
}

// rest lets nothing follow for a while; mu is held.
func (s *Socket) rest() { s.restUntil = s.server.now() + headStart }

// rests says whether what is queued has to wait for what has gone ahead, and
// sees to it that it is flushed then; mu is held. At the end nothing waits.
func (s *Socket) rests() bool {
	if s.restUntil == 0 || s.state != open {
		return false
	}
	if s.server.now() >= s.restUntil {
		s.restUntil = 0
		return false
	}
	s.flushLate(s.restUntil)
	return true
}

// flushLate lists the socket to be flushed; mu is held.
func (s *Socket) flushLate(at time.Duration) {
	if !s.late {
		s.late = true
		s.server.late.add(s, at)
	}
}

// drain writes while the peer is slow; it ends when all is written.
func (s *Socket) drain(c *conn, rest [][]byte) {
	sc := takeScratch()
	defer sc.release()
	for {
		if err := c.writeAll(rest, s.server.writeTimeout); err != nil {
			s.end(ReasonTransportError, err, broken)
			return
		}
		s.mu.Lock()
		s.inFlight = 0
		if !s.next(sc) {
			s.writing = false
			hangup := s.hangup
			s.mu.Unlock()
			if hangup {
				c.shut()
			}
			return
		}
		rest = c.segments(sc, nil)
		s.inFlight = size(rest)
		s.mu.Unlock()
	}
}

func size(segments [][]byte) (n int) {
	for _, b := range segments {
		n += len(b)
	}
	return n
}
