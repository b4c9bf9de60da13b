package engineio

import (
	"runtime"
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

// lateList holds sockets whose output waits for their handler to return, and
// flushes them if that takes long.
type lateList struct {
	mu      sync.Mutex // guards all following
	sockets []*Socket
	spare   []*Socket
	timer   *time.Timer
}

func (l *lateList) add(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sockets = append(l.sockets, s)
	if len(l.sockets) > 1 {
		return
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(lateFlush, l.flush)
	} else {
		l.timer.Reset(lateFlush)
	}
}

func (l *lateList) flush() {
	l.mu.Lock()
	sockets := l.sockets
	l.sockets = l.spare[:0]
	l.spare = nil
	l.mu.Unlock()

	sc := takeScratch()
	for _, s := range sockets {
		s.mu.Lock()
		s.late = false
		s.mu.Unlock()
		s.flush(sc)
	}
	sc.release()

	clear(sockets)
	l.mu.Lock()
	l.spare = sockets
	l.mu.Unlock()
}

// flush writes all that is queued, as far as the connection takes it without
// waiting.
func (s *Socket) flush(sc *scratch) {
	s.mu.Lock()
	s.handed = false
	for !s.writing && len(s.queue) > 0 && !s.rests() {
		if s.ws == nil {
			s.releasePoll()
			break
		}
		s.writing = true
		sc.items = s.take(sc.items[:0])
		if sc.items[len(sc.items)-1].ahead {
			s.rest()
		}
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

// rest lets nothing follow for a while; mu is held.
func (s *Socket) rest() {
	s.resting = true
	time.AfterFunc(headStart, func() {
		s.mu.Lock()
		s.resting = false
		flush := len(s.queue) > 0 && s.schedule()
		s.mu.Unlock()
		if flush {
			s.hand(nil)
		}
	})
}

// rests says whether what is queued has to wait, which it does not at the end;
// mu is held.
func (s *Socket) rests() bool { return s.resting && s.state == open }

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
		if len(s.queue) == 0 {
			s.writing = false
			hangup := s.hangup
			s.mu.Unlock()
			if hangup {
				c.shut()
			}
			return
		}
		sc.items = s.take(sc.items[:0])
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
