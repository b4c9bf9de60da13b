package realtime

import (
	"context"
	"time"
)

// Context ends when the socket does. It carries the values of the request's
// context, and is the one that handlers get.
func (s *Socket) Context() context.Context { return socketContext{s} }

// socketContext costs nothing until somebody waits for its end.
type socketContext struct{ s *Socket }

func (c socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c socketContext) Value(key any) any { return c.s.Request().Context().Value(key) }

func (c socketContext) Done() <-chan struct{} {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.done == nil {
		c.s.done = make(chan struct{})
		if c.s.state.Load() == ended {
			close(c.s.done)
		}
	}
	return c.s.done
}

func (c socketContext) Err() error {
	if c.s.state.Load() == ended {
		return context.Canceled
	}
	return nil
}
