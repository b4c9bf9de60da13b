// Package node runs Node.js scripts for tests: foreign servers and clients
// built on the npm packages of this folder.
package node

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
)

// Script is a running script.
type Script struct {
	// Lines are what it prints, a line each, without the line's end. The
	// channel is closed when its output ends.
	Lines <-chan string

	// Stdin is its standard input.
	Stdin io.WriteCloser

	command *exec.Cmd
	ended   chan struct{}
}

// Need asks for node and the packages, and returns the program and the folder
// that has them. A test that starts something else before its script calls it
// first.
func Need(t testing.TB) (program, dir string) {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir = filepath.Dir(file)
	program = need.Command(t, "node")[0]
	need.NodeModule(t, dir, "socket.io-client")
	return program, dir
}

// Run starts a script with arguments, or skips the test where node or the
// packages are missing. The script finds the packages by require. It is killed
// at the end of the test.
func Run(t testing.TB, script string, args ...string) *Script {
	t.Helper()
	node, dir := Need(t)

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, node, append([]string{script}, args...)...)
	command.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	command.WaitDelay = time.Second
	stderr := new(strings.Builder)
	command.Stderr = stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("starting node %s: %v", script, err)
	}
	lines := make(chan string, 1024)
	s := &Script{Lines: lines, Stdin: stdin, command: command, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		defer close(lines)
		scanner := bufio.NewScanner(output)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-s.ended
		command.Wait()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("node %s said:\n%s", filepath.Base(script), stderr)
		}
	})
	return s
}

// Line returns the next line that the script prints.
func (s *Script) Line(t testing.TB) string {
	t.Helper()
	select {
	case line, ok := <-s.Lines:
		if !ok {
			t.Fatalf("%s ended without another line", s.command)
		}
		return line
	case <-time.After(20 * time.Second):
		t.Fatalf("%s printed nothing for 20 s", s.command)
	}
	return ""
}

// Kill ends the script at once, as a crash would, and waits until its ports
// are free.
func (s *Script) Kill(t testing.TB) {
	t.Helper()
	if err := s.command.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("killing node: %v", err)
	}
	<-s.ended
}
