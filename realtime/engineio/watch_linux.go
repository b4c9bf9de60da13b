//go:build !386 && !s390x

package engineio

import (
	"errors"
	"os"
	"runtime"
	"sync"
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
	set    *os.File   // the epoll set; nil while there is no connection
	rc     syscall.RawConn
	slots  []*conn  // by the number that the set knows them by
	rounds []uint32 // how often each slot was used, to tell late events
	free   []int32
	count  int
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
	w.set, w.rc = set, rc
	go w.run(set, rc)
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
		w.set.Close()
		w.set, w.rc = nil, nil
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
	ev := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | edgeTriggered,
		Fd:     slot, Pad: int32(w.rounds[slot]),
	}
	var failed error
	err := c.raw.rc.Control(func(fd uintptr) {
		failed = w.rc.Control(func(set uintptr) {
			if err := syscall.EpollCtl(int(set), syscall.EPOLL_CTL_ADD, int(fd), &ev); err != nil {
				failed = err
			}
		})
	})
	return errors.Join(err, failed)
}

// watchRun is how many connections are given to readers before those get a
// turn: mostly they are done then, and the next ones find them with nothing to
// do, while more has come.
const watchRun = 8

// run has connections read to which something happens, until the set is closed.
func (w *watch) run(set *os.File, rc syscall.RawConn) {
	var events [watchRun]syscall.EpollEvent
	var woken [watchRun]*conn
	for {
		n := 0
		err := rc.Read(func(fd uintptr) bool {
			n = collect(fd, &events)
			return n > 0
		})
		if err != nil {
			return
		}
		n = w.wake(set, events[:n], woken[:])
		for i, c := range woken[:n] {
			w.server.crew.Work(c)
			woken[i] = nil
		}
		runtime.Gosched()
	}
}

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
func (w *watch) wake(set *os.File, events []syscall.EpollEvent, woken []*conn) (n int) {
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
