package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"server22.local/appliance/realtime/client/engine"
)

// hooks are called by the loop, one at a time.
type hooks struct {
	attempt   []*func(attempt int)
	reconnect []*func(attempts int)
	failure   []*func(err error)
}

// OnReconnectAttempt adds a function that is called before each attempt to
// connect again, which are counted from 1, until remove is called. It must not
// block.
func (c *Client) OnReconnectAttempt(f func(attempt int)) (remove func()) {
	return add(&c.mu, &c.hooks.attempt, f)
}

// OnReconnect adds a function that is called when the connection is there
// again, after that many attempts, until remove is called. It must not block.
func (c *Client) OnReconnect(f func(attempts int)) (remove func()) {
	return add(&c.mu, &c.hooks.reconnect, f)
}

// OnConnectionError adds a function that is called when an attempt to connect
// failed, the first one included, until remove is called. It must not block.
func (c *Client) OnConnectionError(f func(err error)) (remove func()) {
	return add(&c.mu, &c.hooks.failure, f)
}

// loop makes one connection after the other. It returns nil when the client is
// closing.
func (c *Client) loop(ctx context.Context) error {
	waits := backoff{delay: c.opts.ReconnectDelay, most: c.opts.ReconnectDelayMax, jitter: c.opts.ReconnectJitter}
	for c.wanted(ctx) {
		if waits.attempts > 0 {
			for _, f := range list(&c.mu, &c.hooks.attempt) {
				(*f)(waits.attempts)
			}
		}
		err := c.connection(ctx, &waits)
		switch {
		case c.isClosing() || ctx.Err() != nil:
			return nil
		case errors.Is(err, engine.ErrClosed):
			continue // no socket wanted it any more
		case c.opts.NoReconnect:
			return err
		case c.opts.ReconnectAttempts > 0 && waits.attempts >= c.opts.ReconnectAttempts:
			return fmt.Errorf("gave up after %d attempts: %w", waits.attempts, err)
		}
		sleep(waits.next(), c.quit)
	}
	return nil
}

// wanted waits until some socket wants a connection. It returns false when
// there will be none.
func (c *Client) wanted(ctx context.Context) bool {
	for {
		if c.isClosing() || ctx.Err() != nil {
			return false
		}
		if c.anyActive() {
			return true
		}
		select {
		case <-c.wake:
		case <-c.quit:
		case <-ctx.Done():
		}
	}
}

func (c *Client) anyActive() bool {
	c.mu.Lock()
	sockets := c.sockets
	c.mu.Unlock()
	for _, s := range sockets {
		if s.Active() {
			return true
		}
	}
	return false
}

// sleep waits, unless something ends it.
func sleep(wait time.Duration, end <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-end:
	}
}

// connection is the life of one connection, from the attempt to its end.
func (c *Client) connection(ctx context.Context, waits *backoff) error {
	conn, err := c.dial(ctx)
	if err != nil {
		c.attemptFailed(err)
		return err
	}
	x := newSession(ctx, c, conn, waits)
	defer x.cancel(nil)
	c.mu.Lock()
	c.session = x
	sockets := c.sockets
	closing := c.closing
	c.mu.Unlock()
	if closing {
		conn.Close()
	}
	if waits.attempts > 0 {
		for _, f := range list(&c.mu, &c.hooks.reconnect) {
			(*f)(waits.attempts)
		}
	}
	c.opts.Logger.Debug("client: connected", "url", c.url, "transport", conn.Transport())
	for _, s := range sockets {
		s.join(x)
	}
	err = conn.Run(x.ctx, x)
	c.opts.Logger.Debug("client: connection ended", "url", c.url, "err", err)

	c.mu.Lock()
	c.session = nil
	c.upgraded = c.upgraded || conn.Upgraded()
	sockets = c.sockets
	c.announce()
	c.mu.Unlock()
	x.cancel(err)
	for _, s := range sockets {
		s.left(x, reasonOf(err), err)
	}
	return err
}

func (c *Client) dial(ctx context.Context) (*engine.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Close does not wait for an attempt.
	attempt := make(chan struct{})
	defer close(attempt)
	c.task(func() {
		select {
		case <-c.quit:
			cancel()
		case <-attempt:
		}
	})
	return engine.Dial(ctx, c.url, c.engineOptions())
}

func (c *Client) attemptFailed(err error) {
	c.opts.Logger.Debug("client: connecting failed", "url", c.url, "err", err)
	for _, f := range list(&c.mu, &c.hooks.failure) {
		(*f)(err)
	}
	c.mu.Lock()
	c.last = err
	sockets := c.sockets
	c.announce()
	c.mu.Unlock()
	if c.isClosing() {
		return
	}
	for _, s := range sockets {
		s.attemptFailed(err)
	}
}
