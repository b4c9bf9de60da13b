package main

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/term"
)

// answer is standard output. It remembers the first failure, so that no verb
// ends well whose answer did not get out: on a full disk, say.
type answer struct {
	file *os.File

	mu  sync.Mutex
	err error
}

func (a *answer) Write(b []byte) (int, error) {
	n, err := a.file.Write(b)
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.err == nil {
			a.err = err
		}
	}
	return n, err
}

// failure is what kept the answer from getting out, if anything did.
func (a *answer) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		return nil
	}
	return fmt.Errorf("writing the answer: %w", a.err)
}

// onTerminal reports whether a person reads along, whose terminal strangers'
// control characters must not reach.
func (a *answer) onTerminal() bool { return term.IsTerminal(int(a.file.Fd())) }
