package netnstest

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/need"
)

// NS is a network namespace of one test. Its methods fail the test when the
// kernel refuses; except for Do they must be called on the test's goroutine.
type NS struct {
	t      testing.TB
	fd     netns.NsHandle
	handle *netlink.Handle
	// starts are run by the thread that starts all programs, with the error of
	// entering the namespace.
	starts chan func(error)
}

// New makes an empty namespace whose loopback is up. It is gone when the test
// has ended.
func New(t testing.TB) *NS {
	t.Helper()
	need.Root(t)
	fd, err := create()
	if err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	handle, err := netlink.NewHandleAt(fd)
	if err != nil {
		t.Fatalf("opening netlink in a namespace: %v", err)
	}
	ns := &NS{t: t, fd: fd, handle: handle, starts: make(chan func(error))}
	var starter sync.WaitGroup
	starter.Go(func() { onThread(ns.serveStarts) })
	t.Cleanup(func() {
		close(ns.starts)
		starter.Wait()
		handle.Close()
		_ = fd.Close()
	})
	ns.Up("lo")
	return ns
}

// create makes the namespace on a thread that is thrown away.
func create() (fd netns.NsHandle, err error) {
	onThread(func() { fd, err = netns.New() })
	return fd, err
}

// onThread runs f on an operating system thread of its own. The goroutine ends
// while it is still locked, upon which the runtime ends the thread: a namespace
// entered by f cannot leak into another goroutine, whatever f does. The main
// thread cannot end, and is what /proc/self shows: it is kept out of it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThread(f) // on another thread, as this goroutine holds the main one
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}

// Do runs f inside the namespace and waits for it. f may call t.Fatal.
func (ns *NS) Do(f func()) {
	ns.t.Helper()
	var err error
	returned := false
	onThread(func() {
		if err = netns.Set(ns.fd); err != nil {
			returned = true
			return
		}
		f()
		returned = true
	})
	if err != nil {
		ns.t.Fatalf("entering a network namespace: %v", err)
	}
	if !returned { // f ended by t.FailNow or t.SkipNow, which end only its goroutine
		runtime.Goexit()
	}
}

// Handle talks netlink inside the namespace.
func (ns *NS) Handle() *netlink.Handle { return ns.handle }

// Interface looks up an interface inside the namespace.
func (ns *NS) Interface(name string) *net.Interface {
	ns.t.Helper()
	var ifi *net.Interface
	var err error
	ns.Do(func() { ifi, err = net.InterfaceByName(name) })
	if err != nil {
		ns.t.Fatalf("looking up %s: %v", name, err)
	}
	return ifi
}

func (ns *NS) link(name string) netlink.Link {
	ns.t.Helper()
	link, err := ns.handle.LinkByName(name)
	if err != nil {
		ns.t.Fatalf("looking up %s: %v", name, err)
	}
	return link
}

func (ns *NS) must(err error, format string, args ...any) {
	ns.t.Helper()
	if err != nil {
		ns.t.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
}
