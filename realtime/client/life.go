package client

import (
	"context"
	"time"
)

// life is the time in which a client runs.
type life struct {
	ctx          context.Context // outlives that of Run by what is said at the end
	cut          context.CancelFunc
	handling     context.Context // that of handlers; ends when the client begins to close
	stopHandling context.CancelFunc
}

// Run connects, and connects again whenever the connection is lost, until ctx
// ends or [Client.Close] is called; then it sends what is queued, says goodbye,
// waits for the handlers and returns nil. It returns an error if it gave up:
// with Options.NoReconnect or after Options.ReconnectAttempts.
//
// While no socket wants to be connected, there is no connection.
func (c *Client) Run(ctx context.Context) error {
	l, err := c.start(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	return c.run(l)
}

// Connect runs the client in a goroutine and waits until all of its sockets
// are connected. The context bounds this wait, and no more. If the first
// attempt fails or a namespace is refused, Connect closes the client and
// returns the error. Otherwise whoever calls it calls [Client.Close].
func (c *Client) Connect(ctx context.Context) error {
	l, err := c.start(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	go c.run(l) // ends with Close; Wait waits for it
	if err := c.awaitConnected(ctx); err != nil {
		l.cut()
		c.close()
		<-c.done
		return err
	}
	return nil
}

// start begins the client's one life.
func (c *Client) start(ctx context.Context) (*life, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life != nil {
		return nil, errRunTwice
	}
	if c.closing {
		return nil, ErrClosed
	}
	l := new(life)
	l.ctx, l.cut = context.WithCancel(context.WithoutCancel(ctx))
	l.handling, l.stopHandling = context.WithCancel(ctx)
	c.life = l
	return l, nil
}

// running returns nil before start.
func (c *Client) running() *life {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life
}

func (c *Client) run(l *life) error {
	defer close(c.done)
	c.task(func() { c.awaitClose(l) })
	err := c.loop(l.ctx)
	c.end(err)
	l.cut()
	l.stopHandling()
	close(c.gone)
	c.tasks.Wait()
	return err
}

// awaitClose leaves the server when the client is to close, within the time
// that Options.CloseTimeout gives.
func (c *Client) awaitClose(l *life) {
	select {
	case <-c.quit:
	case <-l.ctx.Done():
		return
	}
	l.stopHandling()
	late := time.AfterFunc(c.opts.CloseTimeout, l.cut)
	defer late.Stop()
	c.leave(l.ctx)
	<-l.ctx.Done()
}

// close asks the loop to end. No socket takes anything from then on.
func (c *Client) close() {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	sockets := c.sockets
	c.mu.Unlock()
	for _, s := range sockets {
		s.retire()
	}
	if first {
		close(c.quit)
	}
}

// leave ends the connection in good order. The server is to have read
// everything before it reads that the sockets disconnect: the official one
// drops events that it has not yet handled by then.
func (c *Client) leave(ctx context.Context) {
	c.mu.Lock()
	session, sockets := c.session, c.sockets
	c.mu.Unlock()
	if session == nil {
		return
	}
	session.conn.Flush(ctx) // if it fails, there is nothing to wait for
	for _, s := range sockets {
		s.disconnect()
	}
	session.conn.Close()
}

// end lets go of everything that waits for a connection.
func (c *Client) end(err error) {
	c.mu.Lock()
	c.failed = err
	c.stopped = true
	sockets := c.sockets
	c.announce()
	c.mu.Unlock()
	for _, s := range sockets {
		s.abandon()
	}
}

// task runs f in a goroutine that Run waits for. It refuses once the client
// has ended.
func (c *Client) task(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	c.tasks.Go(f)
	return true
}
