package netnstest

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"server22.local/appliance/internal/need"
)

// serveStarts is the thread that programs are started from. It lives as long as
// the namespace, because the kernel kills a child whose Pdeathsig is set when
// the thread that started it ends.
func (ns *NS) serveStarts() {
	err := netns.Set(ns.fd)
	for start := range ns.starts {
		start(err)
	}
}

// Command prepares a program (found on the PATH or in /usr/sbin; need.Command
// says what happens when it is missing). Start it with [NS.Start]. It is killed
// if the test process dies.
func (ns *NS) Command(name string, args ...string) *exec.Cmd {
	ns.t.Helper()
	cmd := exec.Command(need.Command(ns.t, name)[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	return cmd
}

// Start starts a program inside the namespace. The caller waits for it.
func (ns *NS) Start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	ns.starts <- func(err error) {
		if err == nil {
			err = cmd.Start()
		}
		result <- err
	}
	return <-result
}

// Run runs a program inside the namespace to its end and returns what it
// printed; the test fails if the program does.
func (ns *NS) Run(name string, args ...string) string {
	ns.t.Helper()
	cmd := ns.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ns.must(ns.Start(cmd), "starting %s", name)
	ns.must(cmd.Wait(), "%s %s: %s", name, strings.Join(args, " "), &out)
	return out.String()
}

// Daemon is a program that runs until the test ends or Stop is called.
type Daemon struct {
	t       testing.TB
	cmd     *exec.Cmd
	stop    sync.Once
	stopped chan struct{}

	mu sync.Mutex // guards all following fields
	// out is everything that the program printed.
	out bytes.Buffer
}

// Daemon starts a program that runs until the test ends. What it prints is
// logged if the test fails.
func (ns *NS) Daemon(name string, args ...string) *Daemon {
	ns.t.Helper()
	return ns.DaemonCommand(ns.Command(name, args...))
}

// DaemonCommand is Daemon for a command with an environment, a user or
// capabilities of its own.
func (ns *NS) DaemonCommand(cmd *exec.Cmd) *Daemon {
	ns.t.Helper()
	d := &Daemon{t: ns.t, cmd: cmd, stopped: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d, d
	ns.must(ns.Start(cmd), "starting %s", cmd.Path)
	go func() {
		defer close(d.stopped)
		_ = cmd.Wait()
	}()
	ns.t.Cleanup(func() {
		d.Stop()
		if ns.t.Failed() {
			ns.t.Logf("%s printed:\n%s", cmd.Path, lastOf(d.Output()))
		}
	})
	return d
}

// logged is how much of a program's output is logged, in bytes.
const logged = 6000

func lastOf(output string) string {
	if len(output) > logged {
		return "...\n" + output[len(output)-logged:]
	}
	return output
}

// Write takes what the program prints.
func (d *Daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out.Write(p)
}

// Output is what the program has printed so far.
func (d *Daemon) Output() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out.String()
}

// PID is the process id of the program.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Signal sends a signal to the program.
func (d *Daemon) Signal(sig syscall.Signal) { _ = d.cmd.Process.Signal(sig) }

// Exited is closed when the program has ended.
func (d *Daemon) Exited() <-chan struct{} { return d.stopped }

// ExitCode waits for the program's end and returns its exit code, -1 if a
// signal ended it.
func (d *Daemon) ExitCode() int {
	<-d.stopped
	return d.cmd.ProcessState.ExitCode()
}

// Stop asks the program to end by SIGTERM, kills it after 5 s, and waits.
func (d *Daemon) Stop() {
	d.stop.Do(func() {
		d.Signal(syscall.SIGTERM)
		select {
		case <-d.stopped:
		case <-time.After(5 * time.Second):
			d.Kill()
		}
	})
}

// Kill ends the program by SIGKILL, as a crash or a power cut would, and waits.
func (d *Daemon) Kill() {
	d.Signal(syscall.SIGKILL)
	<-d.stopped
}

// WaitOutput waits until the program has printed the text.
func (d *Daemon) WaitOutput(text string, limit time.Duration) {
	d.t.Helper()
	Eventually(d.t, limit, "the program to print "+text, func() bool {
		return strings.Contains(d.Output(), text)
	})
}

// Eventually waits until what is true, and fails the test after the limit.
func Eventually(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
