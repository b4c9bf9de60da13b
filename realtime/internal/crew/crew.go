// Package crew keeps goroutines for work that comes often and is soon done.
package crew

import "sync"

// maxIdle is how many goroutines wait for the next work.
const maxIdle = 32

// Crew is goroutines that do work of one kind. Those that are done wait for
// the next, with the stacks that they have grown: to make a goroutine and to
// grow its stack costs more than most of the work. None waits while the crew
// has no member. It is safe for concurrent use.
type Crew[T any] struct {
	do func(T)

	mu      sync.Mutex // guards all following
	idle    []chan T
	members int
}

// New makes a crew that does its work by do. It has no goroutine yet.
func New[T any](do func(T)) *Crew[T] { return &Crew[T]{do: do} }

// Work has a goroutine do work. It does not wait.
func (c *Crew[T]) Work(work T) {
	c.mu.Lock()
	n := len(c.idle)
	if n == 0 {
		c.mu.Unlock()
		go c.run(work)
		return
	}
	next := c.idle[n-1] // the one whose stack is still in the cache
	c.idle = c.idle[:n-1]
	c.mu.Unlock()
	next <- work
}

func (c *Crew[T]) run(work T) {
	next := make(chan T, 1)
	for more := true; more; {
		c.do(work)
		var none T
		work = none // it may be garbage by now
		if !c.wait(next) {
			return
		}
		work, more = <-next
	}
}

// wait lists a goroutine as idle; false tells it to end.
func (c *Crew[T]) wait(next chan T) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members == 0 || len(c.idle) == maxIdle {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}

// Enter counts one more for whom goroutines are kept.
func (c *Crew[T]) Enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members++
}

// Leave counts one less. After the last, no goroutine is kept.
func (c *Crew[T]) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members--
	if c.members > 0 {
		return
	}
	for _, next := range c.idle {
		close(next)
	}
	c.idle = nil
}
