package engine

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// Message is one text or binary message.
type Message struct {
	Data   []byte
	Binary bool
}

// Receiver takes what the server sends.
type Receiver interface {
	// Message is called for each message, in order, one at a time, from the
	// goroutine that also answers pings: it must not block. The receiver owns
	// m.Data. An error ends the connection (see [ReceiverError]).
	Message(m Message) error
}

// SendOptions of a message.
type SendOptions struct {
	// Volatile refuses the message with [ErrNotWritable], rather than
	// queueing it, unless it can be written at once.
	Volatile bool

	// Accepted queues the message whatever else waits: its sender was already
	// told that it will be sent.
	Accepted bool
}

// Conn is one Engine.IO session. [Dial] makes it, [Conn.Run] runs it.
//
// Its methods are safe for concurrent use.
type Conn struct {
	opts  Options
	url   *url.URL
	open  handshake
	queue *queue
	swap  *swap
	ended chan struct{} // closed when Run returns

	heard atomic.Pointer[time.Timer] // fires when the server was silent for too long
	left  atomic.Bool                // this side closes: whatever ends the session now, it is that

	mu        sync.Mutex // guards all following fields
	transport transport
	upgraded  bool
}

// A transport carries batches of packets. One goroutine receives, another one
// sends; abort may be called from anywhere and makes both return.
type transport interface {
	name() string
	receive(ctx context.Context) ([]wire.Packet, error)
	send(ctx context.Context, batch []wire.Packet) error
	bye(ctx context.Context) error // tells the server that the session ends
	abort()
}

// ID is the session's. The server knows the session by nothing else: it is a
// secret.
func (c *Conn) ID() string { return c.open.SID }

// MaxPayload is the largest message that the server takes, in bytes, or 0 if
// it did not say.
func (c *Conn) MaxPayload() int64 { return c.open.MaxPayload }

// Transport is the name of the transport in use: [Polling] or [WebSocket].
func (c *Conn) Transport() string { return c.active().name() }

// Upgraded tells whether the connection has moved from polling to WebSocket.
func (c *Conn) Upgraded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.upgraded
}

// QueuedBytes is the size of what waits to be written.
func (c *Conn) QueuedBytes() int { return c.queue.size() }

// Send queues messages that are to follow each other without another one in
// between. It never blocks, and keeps the data, which must not change any more.
//
// It fails with [ErrClosed], [ErrQueueFull], [ErrNotWritable] or a
// [*TooLargeError]; then none of the parts is sent. No error does not mean
// that the server has received the messages, or will.
func (c *Conn) Send(o SendOptions, parts ...Message) error {
	for _, part := range parts {
		if limit := c.open.MaxPayload; limit > 0 && c.wireSize(part) > limit {
			return &TooLargeError{Size: len(part.Data), Limit: limit}
		}
	}
	return c.queue.push(o, parts)
}

// wireSize is what the server counts against its limit: the frame on
// WebSocket, the payload on polling.
func (c *Conn) wireSize(m Message) int64 {
	size := int64(len(m.Data))
	switch {
	case !m.Binary:
		return size + 1
	case c.Transport() == Polling:
		return 1 + (size+2)/3*4
	}
	return size
}

// Flush waits until everything that was queued before has been written, and
// until the server has read it, as far as the transport can tell: polling by
// the answer to the last POST, WebSocket by the pong to a ping frame.
func (c *Conn) Flush(ctx context.Context) error {
	for _, reached := range []func() <-chan struct{}{c.queue.flushed, c.echo} {
		select {
		case <-reached():
		case <-c.ended:
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// echo returns a channel that is closed when the server has read all that was
// written.
func (c *Conn) echo() <-chan struct{} {
	echoed := make(chan struct{})
	if ws, ok := c.active().(*socketTransport); ok {
		if err := ws.ping(echoed); err == nil {
			return echoed
		}
	}
	close(echoed)
	return echoed
}

// Close ends the connection in good order: what is queued is written, then the
// server is told. It returns at once; [Conn.Run] returns when that is done.
// To end it without delay, end the context of Run.
func (c *Conn) Close() { c.queue.close() }

// Abort closes a connection that was never run.
func (c *Conn) Abort() { c.active().abort() }

func (c *Conn) active() transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// Run carries messages until the connection ends, and says why it ended: with
// [ErrClosed], [ErrServerClosed], [ErrPingTimeout], a [*ReceiverError], the
// context's cause, or what the transport met. It may be called once.
func (c *Conn) Run(ctx context.Context, r Receiver) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer close(c.ended)
	silence := c.open.interval() + c.open.timeout()
	timer := time.AfterFunc(silence, func() { cancel(ErrPingTimeout) })
	defer timer.Stop()
	c.heard.Store(timer)

	var tasks sync.WaitGroup
	tasks.Go(func() { cancel(c.read(ctx, r)) })
	tasks.Go(func() { cancel(c.write(ctx)) })
	if c.mayUpgrade() {
		tasks.Go(func() {
			if err := c.upgrade(ctx); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	c.active().abort()
	tasks.Wait()
	c.queue.close()
	if c.left.Load() {
		return ErrClosed
	}
	return context.Cause(ctx)
}

// read brings in packets until it cannot.
func (c *Conn) read(ctx context.Context, r Receiver) error {
	for {
		batch, err := c.active().receive(ctx)
		if err != nil {
			return err
		}
		for _, p := range batch {
			if err := c.handle(p, r); err != nil {
				return err
			}
		}
		if err := c.swap.rest(ctx, &c.swap.reader); err != nil {
			return err
		}
	}
}

func (c *Conn) handle(p wire.Packet, r Receiver) error {
	switch p.Type {
	case wire.Message:
		if p.Data == nil {
			p.Data = []byte{} // empty, not absent
		}
		if err := r.Message(Message{Data: p.Data, Binary: p.Binary}); err != nil {
			return &ReceiverError{err}
		}
	case wire.Ping:
		c.heard.Load().Reset(c.open.interval() + c.open.timeout())
		c.queue.pushControl(wire.Packet{Type: wire.Pong, Data: p.Data})
	case wire.Close:
		return ErrServerClosed
	case wire.Noop:
	default:
		return fmt.Errorf("server sent an unexpected packet of type %s", p.Type)
	}
	return nil
}

// write takes out what is queued until the connection ends.
func (c *Conn) write(ctx context.Context) error {
	var batch []wire.Packet
	for {
		if err := c.swap.rest(ctx, &c.swap.writer); err != nil {
			return err
		}
		var done bool
		batch, done = c.queue.take(batch)
		switch {
		case done:
			return c.leave(ctx)
		case len(batch) > 0:
			if err := c.active().send(ctx, batch); err != nil {
				return err
			}
			c.queue.written()
		default:
			select {
			case <-c.queue.wake:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// leave says goodbye and gives the server a moment to answer: a stream that is
// closed while something unread is in it may be reset, and what was written
// last be lost.
func (c *Conn) leave(ctx context.Context) error {
	t := c.active()
	c.left.Store(true) // before: the server may answer the reader first
	if err := t.bye(ctx); err != nil {
		return err
	}
	if t.name() == WebSocket {
		answered := time.NewTimer(closeGrace)
		defer answered.Stop()
		select {
		case <-answered.C:
		case <-ctx.Done():
		}
	}
	return ErrClosed
}
