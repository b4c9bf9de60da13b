//go:build !386 && !s390x

package engineio

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// watch has connections read when something has come: all WebSockets that have
// a descriptor are in one epoll set, which one goroutine watches, so that none
// needs a goroutine, and the memory that goes with it, to wait. The set tells
// of each arrival once; who reads need not try whether there is more.
//
// Descriptors stay with net.Conn, which alone reads, writes and closes them.
// The set and its goroutine exist only while there is a connection.
type watch struct {
	server *Server

	mu     sync.Mutex // guards all following, and conn.slot and conn.final
	set    *epollSet  // nil while there is no connection
	slots  []*conn    // by the number that the set knows them by
	rounds []uint32   // how often each slot was used, to tell late events
	free   []int32
	count  int
}

// epollSet is an epoll set, and the goroutine that watches it.
type epollSet struct {
	file *os.File
	fd   int // of file
	rc   syscall.RawConn

	// reading is the connection that the watcher reads from itself. Who makes
	// it nil sees to it that there is a watcher from then on.
	reading atomic.Pointer[conn]
	haste   haste // the watcher's
}

func newWatch(s *Server) *watch { return &watch{server: s} }

// enter has the connection watched from now on. If it returns true the caller,
// who read from it so far, must not touch it any more: another one may already.
func (w *watch) enter(c *conn) bool {
	if !c.raw.usable() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.final || w.open() != nil {
		return false
	}
	w.take(c)
	c.watched.Store(true)
	c.attention.Store(quiet)
	if w.add(c) == nil {
		return true
	}
	w.vacate(c)
	c.final = true
	c.watched.Store(false)
	c.attention.Store(busy)
	return false
}

// leave ends the watch of a connection.
func (w *watch) leave(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.final = true
	if c.slot > 0 {
		w.vacate(c)
	}
}

// release sees to it that the connection has a goroutine that reads to its end,
// which is near. If the deadline is not zero, that is how long it may read.
func (w *watch) release(c *conn, deadline time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.final = true
	if !deadline.IsZero() {
		c.nc.SetReadDeadline(deadline) // fails if closed, which the reader sees
	}
	if c.watched.Swap(false) && c.attention.attend() {
		w.server.crew.Work(c)
	}
}

// relieve has another goroutine watch if the one that does reads from the
// connection, and takes its time.
func (w *watch) relieve(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set != nil && w.set.reading.CompareAndSwap(c, nil) {
		w.set.haste.slow()
		go w.run(w.set)
	}
}

// open makes the epoll set if there is none.
func (w *watch) open() error {
	if w.set != nil {
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
	w.set = &epollSet{file: set, fd: fd, rc: rc}
	go w.run(w.set)
	return nil
}

func (w *watch) take(c *conn) {
	var slot int32
	if n := len(w.free); n > 0 {
		slot = w.free[n-1]
		w.free = w.free[:n-1]
		w.slots[slot] = c
	} else {
		slot = int32(len(w.slots))
		w.slots = append(w.slots, c)
		w.rounds = append(w.rounds, 0)
	}
	w.rounds[slot]++
	c.slot = slot + 1
	w.count++
}

// vacate gives the slot of a connection back. The last one closes the set.
func (w *watch) vacate(c *conn) {
	slot := c.slot - 1
	c.slot = 0
	w.slots[slot] = nil
	w.free = append(w.free, slot)
	w.count--
	if w.count == 0 {
		w.set.file.Close()
		w.set = nil
		w.slots, w.rounds, w.free = nil, nil, nil
	}
}

// edgeTriggered is EPOLLET, whose sign in package syscall depends on the
// processor.
const edgeTriggered = 1 << 31

// add puts the connection's descriptor into the set. What has come already
// counts. It leaves the set when it is closed.
func (w *watch) add(c *conn) error {
	slot := c.slot - 1
	return c.raw.enter(w.set.fd, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | edgeTriggered,
		Fd:     slot, Pad: int32(w.rounds[slot]),
	})
}

// watchRun is how many connections are given to readers before those get a
// turn: mostly they are done then, and the next ones find them with nothing to
// do, while more has come.
const watchRun = 8

// run has connections read to which something happens, until the set is closed
// or somebody else watches it. It reads from one of them itself, since to wake
// another goroutine takes longer than most readings do.
func (w *watch) run(set *epollSet) {
	var events [watchRun]syscall.EpollEvent
	var woken [watchRun]*conn
	for {
		n := 0
		err := set.rc.Read(func(fd uintptr) bool {
			n = collect(fd, &events)
			return n > 0
		})
		if err != nil {
			return
		}
		n = w.wake(set, events[:n], woken[:])
		own := 0
		if n > 0 && set.haste.allowed(n) {
			own = 1
		}
		for _, c := range woken[own:n] {
			w.server.crew.Work(c)
		}
		if own > 0 && !w.read(set, woken[0]) {
			return
		}
		clear(woken[:n])
		if n > 1 {
			runtime.Gosched()
		}
	}
}

// read reads from a connection. It returns false if somebody else watches by
// now.
func (w *watch) read(set *epollSet, c *conn) bool {
	begin := w.server.now()
	set.reading.Store(c)
	if c.readArrived() {
		w.server.crew.Work(c) // to wait for the end
	}
	if !set.reading.CompareAndSwap(c, nil) {
		return false
	}
	if w.server.now()-begin > soonDone {
		set.haste.slow()
	} else {
		set.haste.quick()
	}
	return true
}

// soonDone is how long others may wait for the watcher.
const soonDone = 500 * time.Microsecond

// haste says whether a watcher may read itself: not for a while after that has
// taken long, as with handlers that wait for a disk, and longer each time.
type haste struct {
	skip  int // so many connections are read by others
	again int // and so many if it takes long once more
}

const (
	leastSkip = 64
	mostSkip  = 4096
)

// allowed is asked for each n connections that are to be read.
func (h *haste) allowed(n int) bool {
	h.skip = max(0, h.skip-n)
	return h.skip == 0
}

func (h *haste) slow() {
	h.skip = max(leastSkip, h.again)
	h.again = min(2*h.skip, mostSkip)
}

func (h *haste) quick() { h.again = max(0, h.again-1) }

// collect takes what has happened out of the set. It does not wait, and need not
// tell Go's scheduler as syscall.EpollWait does, which then watches the time.
func collect(set uintptr, events *[watchRun]syscall.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, set, uintptr(unsafe.Pointer(events)), watchRun, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// wake finds out whom the events concern that nobody reads at the moment.
func (w *watch) wake(set *epollSet, events []syscall.EpollEvent, woken []*conn) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set != set {
		return 0
	}
	for _, ev := range events {
		c := w.slots[ev.Fd]
		if c == nil || int32(w.rounds[ev.Fd]) != ev.Pad {
			continue // it has left
		}
		if ev.Events&^syscall.EPOLLIN != 0 {
			c.ending.Store(true)
		}
		if c.attention.attend() {
			woken[n] = c
			n++
		}
	}
	return n
}
