package netnstest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Shell runs command lines inside a namespace, beside a resolver of its own:
// see [NS.Avahi] and [NS.Resolved]. The script that it is prints READY, and
// after each line how it ended.
type Shell struct {
	t     testing.TB
	in    io.WriteCloser
	lines chan string
}

// shell starts a script.
func (ns *NS) shell(cmd *exec.Cmd) *Shell {
	ns.t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		ns.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		ns.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := ns.Start(cmd); err != nil {
		ns.t.Fatal(err)
	}
	w.Close()
	s := &Shell{t: ns.t, in: in, lines: make(chan string, 10000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(s.lines)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	ns.t.Cleanup(func() {
		in.Close()
		timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		r.Close()
		<-read
	})
	s.until(regexp.MustCompile(`^READY$`))
	return s
}

var exitLine = regexp.MustCompile(`^EXIT (\d+) MS (\d+) OF `)

// Run runs a command line and returns what it printed, its exit code, and how
// long it took.
func (s *Shell) Run(line string) (out string, code int, took time.Duration) {
	s.t.Helper()
	fmt.Fprintln(s.in, line)
	lines, match := s.until(exitLine)
	code, _ = strconv.Atoi(match[1])
	ms, _ := strconv.Atoi(match[2])
	return strings.Join(lines, "\n"), code, time.Duration(ms) * time.Millisecond
}

// until reads lines to one that matches, and returns those before it.
func (s *Shell) until(re *regexp.Regexp) (before []string, match []string) {
	s.t.Helper()
	limit := time.After(40 * time.Second)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("the shell ended after:\n%s", strings.Join(before, "\n"))
			}
			if match := re.FindStringSubmatch(line); match != nil {
				return before, match
			}
			before = append(before, line)
		case <-limit:
			s.t.Fatalf("no %v within 40 s:\n%s", re, strings.Join(before, "\n"))
		}
	}
}
