//go:build !386 && !s390x

package engineio

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// parkAfter is how long a new connection must be silent before its
	// goroutine is let go: short enough that many who connect at once do not
	// all hold a stack.
	parkAfter = 250 * time.Millisecond
	// parkAgain is the same for one that came back from the parking. To read a
	// message there costs several times what a goroutine that waits would need,
	// so those that say something every few seconds keep theirs. It must be
	// well below the interval of heartbeats, which are no conversation.
	parkAgain = 5 * time.Second
)

// parking spares idle WebSockets their goroutines. A connection from which
// nothing came for a while is given to an epoll set, which is watched by one
// goroutine for all of them; when something comes, its reader is started
// again. Descriptors stay with net.Conn, which alone reads, writes and closes
// them. The set, its goroutine and the timer exist only while they are needed.
//
// Only connections that owe nothing are parked: no frame is half read, no
// farewell is being waited for.
type parking struct {
	server *Server

	mu           sync.Mutex // guards all following, and the parked of every conn
	after, again time.Duration

	awake []awake // those with a reader
	timer *time.Timer
	next  time.Duration // when it fires

	set    *os.File // the epoll set; nil while nobody is parked
	rc     syscall.RawConn
	epoch  uint32   // counts the sets
	slots  []*conn  // by the number that the set knows them by
	rounds []uint32 // how often each slot was used, to tell late events
	free   []int32
	count  int
}

// awake is a connection with a reader.
type awake struct {
	c     *conn
	due   time.Duration // when to look whether it has been silent
	reads uint32        // conn.reads as it was when due was set
}

// parked is a connection's place in parking.
type parked struct {
	awake int32         // index in parking.awake, plus one
	slot  int32         // index in parking.slots, plus one
	epoch uint32        // the set that its descriptor was added to
	asked bool          // the reader was woken in order to be let go
	final bool          // never park again
	since time.Duration // when it was parked last
}

func newParking(s *Server) *parking {
	return &parking{server: s, after: parkAfter, again: parkAgain}
}

// enter lists a connection whose reader starts.
func (p *parking) enter(c *conn) {
	if !c.raw.usable() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enterLocked(c, p.server.now())
}

func (p *parking) enterLocked(c *conn, now time.Duration) {
	due := now + p.patience(c)
	p.awake = append(p.awake, awake{c, due, c.reads.Load()})
	c.parked.awake = int32(len(p.awake))
	if len(p.awake) == 1 || due < p.next {
		p.sweepAt(due, now)
	}
}

// patience is how long the connection may be silent with a reader.
func (p *parking) patience(c *conn) time.Duration {
	if c.parked.since == 0 {
		return p.after
	}
	return p.again
}

func (p *parking) sweepAt(at, now time.Duration) {
	p.next = at
	if p.timer == nil {
		p.timer = time.AfterFunc(at-now, p.sweep)
	} else {
		p.timer.Reset(at - now)
	}
}

// leave takes a connection off the list of those with a reader.
func (p *parking) leave(c *conn) {
	if !c.raw.usable() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(c)
}

func (p *parking) leaveLocked(c *conn) {
	i := c.parked.awake - 1
	if i < 0 {
		return
	}
	last := p.awake[len(p.awake)-1]
	p.awake[i] = last
	last.c.parked.awake = i + 1
	c.parked.awake = 0
	p.awake[len(p.awake)-1] = awake{}
	p.awake = p.awake[:len(p.awake)-1]
	if len(p.awake) == 0 {
		p.timer.Stop()
	}
}

// sweep wakes the readers of silent connections, so that they park.
func (p *parking) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.server.now()
	next := now + p.again
	for i := range p.awake {
		a := &p.awake[i]
		if a.due <= now {
			p.look(a, now)
		}
		next = min(next, a.due)
	}
	if len(p.awake) > 0 {
		p.sweepAt(max(next, now+p.after), now) // one for many
	}
}

// look asks the reader of a connection that is due to let it go, unless
// something has come.
func (p *parking) look(a *awake, now time.Duration) {
	c, reads := a.c, a.c.reads.Load()
	if reads == a.reads && !c.parked.final && !c.parked.asked {
		c.parked.asked = true
		c.nc.SetReadDeadline(time.Unix(1, 0)) // fails if closed, which the reader sees
	}
	a.reads, a.due = reads, now+p.patience(c)
}

// asked says whether the deadline that the reader met was set by sweep, and
// clears it if so.
func (p *parking) asked(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.parked.asked {
		return false
	}
	c.parked.asked = false
	if !c.parked.final { // else the deadline is another one by now
		c.nc.SetReadDeadline(time.Time{})
	}
	return true
}

// park gives the connection to the epoll set. If it returns true the caller,
// its reader, must end at once: another one may run already.
func (p *parking) park(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.parked.final || p.open() != nil {
		return false
	}
	slot := p.take(c)
	if err := p.arm(c, slot); err != nil {
		p.vacate(c)
		p.closeIfEmpty()
		return false
	}
	c.parked.since = p.server.now()
	p.leaveLocked(c)
	return true
}

// open makes the epoll set if there is none.
func (p *parking) open() error {
	if p.set != nil {
		return nil
	}
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return err
	}
	set := os.NewFile(uintptr(fd), "epoll")
	rc, err := set.SyscallConn()
	if err == nil {
		err = set.SetReadDeadline(time.Time{}) // fails if Go's poller does not take it
	}
	if err != nil {
		set.Close()
		return err
	}
	p.set, p.rc = set, rc
	p.epoch++
	go p.watch(set, rc)
	return nil
}

func (p *parking) take(c *conn) int32 {
	var slot int32
	if n := len(p.free); n > 0 {
		slot = p.free[n-1]
		p.free = p.free[:n-1]
		p.slots[slot] = c
	} else {
		slot = int32(len(p.slots))
		p.slots = append(p.slots, c)
		p.rounds = append(p.rounds, 0)
	}
	p.rounds[slot]++
	c.parked.slot = slot + 1
	p.count++
	return slot
}

func (p *parking) vacate(c *conn) {
	slot := c.parked.slot - 1
	c.parked.slot = 0
	p.slots[slot] = nil
	p.free = append(p.free, slot)
	p.count--
}

// arm has the set report the next thing that happens to the connection, once.
// What has happened already counts.
func (p *parking) arm(c *conn, slot int32) error {
	op := syscall.EPOLL_CTL_ADD
	if c.parked.epoch == p.epoch {
		op = syscall.EPOLL_CTL_MOD
	}
	ev := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     slot, Pad: int32(p.rounds[slot]),
	}
	var failed error
	err := c.raw.rc.Control(func(fd uintptr) {
		failed = p.rc.Control(func(set uintptr) {
			err := syscall.EpollCtl(int(set), op, int(fd), &ev)
			if err != nil {
				failed = err
			}
		})
	})
	if err = errors.Join(err, failed); err == nil {
		c.parked.epoch = p.epoch
	}
	return err
}

// watch starts the readers of connections to which something happens, until
// nobody is parked.
func (p *parking) watch(set *os.File, rc syscall.RawConn) {
	var events [128]syscall.EpollEvent
	var woken []*conn
	for {
		n := 0
		err := rc.Read(func(fd uintptr) bool {
			n, _ = syscall.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		if err != nil {
			return // closed by closeIfEmpty
		}
		woken = p.wake(set, events[:n], woken[:0])
		for i, c := range woken {
			p.server.crew.Work(c.readLoop)
			woken[i] = nil
		}
		p.mu.Lock()
		done := p.set != set || p.closeIfEmpty()
		p.mu.Unlock()
		if done {
			return
		}
	}
}

// wake takes those to whom the events belong out of the parking.
func (p *parking) wake(set *os.File, events []syscall.EpollEvent, woken []*conn) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set != set {
		return nil
	}
	now := p.server.now()
	for _, ev := range events {
		c := p.slots[ev.Fd]
		if c == nil || int32(p.rounds[ev.Fd]) != ev.Pad {
			continue // released meanwhile
		}
		p.vacate(c)
		p.enterLocked(c, now)
		// One that was silent for long is likely to be so again.
		c.quiet = now-c.parked.since > p.again
		woken = append(woken, c)
	}
	return woken
}

// closeIfEmpty ends the watch if nobody is parked.
func (p *parking) closeIfEmpty() bool {
	if p.count > 0 || p.set == nil {
		return false
	}
	p.set.Close()
	p.set, p.rc = nil, nil
	p.slots, p.rounds, p.free = nil, nil, nil
	return true
}

// release sees to it that the connection has a reader and keeps it, for its
// end is near. If the deadline is not zero, that is how long it may read.
func (p *parking) release(c *conn, deadline time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.parked.final = true
	if !deadline.IsZero() {
		c.nc.SetReadDeadline(deadline) // fails if closed, which the reader sees
	}
	if c.parked.slot == 0 {
		return
	}
	p.vacate(c)
	p.enterLocked(c, p.server.now())
	p.closeIfEmpty()
	p.server.crew.Work(c.readLoop)
}
