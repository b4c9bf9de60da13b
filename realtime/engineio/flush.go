package engineio

import (
	"runtime"
	"sync"
	"sync/atomic"
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
// it is for a few sockets, by the server's flushers if it is for many. It does
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
		b.sockets[0].server.flushers.addAll(b.sockets)
	}
	clear(b.sockets)
	b.sockets = b.sockets[:0]
}

// flushers write on behalf of those who must not or should not: one for each
// processor. A socket always uses the same one, so that its frames gather
// while the flusher is busy, and leave in one write.
type flushers struct {
	list []flusher
	next atomic.Uint32
}

// flusher runs only while it has something to do.
type flusher struct {
	mu      sync.Mutex // guards all following
	sockets []*Socket
	spare   []*Socket
	running bool
	_       [64]byte // keeps neighbours out of the cache line
}

func newFlushers() *flushers {
	return &flushers{list: make([]flusher, runtime.GOMAXPROCS(0))}
}

// pin chooses the flusher of a new socket.
func (f *flushers) pin() uint32 { return f.next.Add(1) % uint32(len(f.list)) }

func (f *flushers) add(s *Socket) {
	fl := &f.list[s.pin]
	fl.mu.Lock()
	fl.sockets = append(fl.sockets, s)
	fl.wake()
}

func (f *flushers) addAll(sockets []*Socket) {
	for i := range f.list {
		fl := &f.list[i]
		fl.mu.Lock()
		for _, s := range sockets {
			if s.pin == uint32(i) {
				fl.sockets = append(fl.sockets, s)
			}
		}
		fl.wake()
	}
}

// wake starts the flusher if it has work and does not run; it unlocks mu.
func (f *flusher) wake() {
	start := !f.running && len(f.sockets) > 0
	f.running = f.running || start
	f.mu.Unlock()
	if start {
		go f.run()
	}
}

func (f *flusher) run() {
	sc := takeScratch()
	defer sc.release()
	for {
		f.mu.Lock()
		sockets := f.sockets
		f.sockets = f.spare[:0]
		f.spare = nil
		if len(sockets) == 0 {
			f.spare = sockets
			f.running = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		for _, s := range sockets {
			s.flush(sc)
		}
		clear(sockets)
		f.mu.Lock()
		f.spare = sockets
		f.mu.Unlock()
	}
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
		s.ws.nc.Close()
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
				c.nc.Close()
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
