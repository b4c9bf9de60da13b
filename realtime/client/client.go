package client

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"server22.local/appliance/realtime/client/engine"
)

// Client is one connection to a server, made again whenever it is lost, and
// shared by the sockets of all namespaces. [New] makes it, [Client.Run] (or
// [Client.Connect]) runs it, once.
//
// Its methods are safe for concurrent use.
type Client struct {
	url  string // of the server, with the path
	opts Options

	wake chan struct{} // holds a token while the loop has a reason to look
	quit chan struct{} // closed when the client is to end
	gone chan struct{} // closed when there is no connection any more and will be none
	done chan struct{} // closed when the last handler has returned as well

	tasks sync.WaitGroup // handlers, deliveries, AuthFunc

	// mu is taken last: nothing of the client's is locked while it is held.
	mu       sync.Mutex // guards all following fields
	sockets  []*Socket  // in the order of Of, in which they are connected
	session  *session   // the connection in use
	life     *life
	closing  bool
	stopped  bool // no further task is started
	upgraded bool // some connection went from polling to WebSocket
	last     error
	failed   error // how the client ended, if nobody asked for it
	hooks    hooks
	changed  chan struct{} // closed and replaced when something above or in a socket changes
}

// New prepares a client for the server at a URL like "http://host:8080", with
// the scheme http, https, ws or wss. A query in it is sent with the handshake.
// It starts nothing.
func New(rawURL string, o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	u, err := engine.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("server's address %q has a path: Of names the namespace, Options.Path where the server is", rawURL)
	}
	u.Path = "/" + strings.TrimLeft(o.Path, "/")
	return &Client{
		url: u.String(), opts: o,
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
		gone: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
	}, nil
}

// Dial connects to the namespace that the path of the URL names, as in
// "http://host:8080/chat", and returns its socket. The context bounds the
// attempt. If the first one fails, that is the error, and nothing is left
// running. A connection that is lost later on is made again.
//
// Whoever dials calls [Socket.Close]. To handle what comes from the first
// moment on, use [New] and add the handlers before [Client.Connect].
func Dial(ctx context.Context, rawURL string, o Options) (*Socket, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("parsing the server's address: %w", err)
	}
	namespace := u.Path
	u.Path = ""
	c, err := New(u.String(), o)
	if err != nil {
		return nil, err
	}
	s := c.Of(namespace)
	if err := c.Connect(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Of returns the socket of a namespace, always the same one for the same name.
// It is connected as soon as the client has a connection, and again after the
// connection was lost. "" is "/".
func (c *Client) Of(namespace string) *Socket {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	c.mu.Lock()
	s := c.find(namespace)
	if s != nil {
		c.mu.Unlock()
		return s
	}
	s = newSocket(c, namespace)
	s.ended = c.closing
	c.sockets = append(c.sockets, s)
	c.mu.Unlock()
	s.Connect()
	return s
}

// find wants c.mu held. Clients have few namespaces.
func (c *Client) find(namespace string) *Socket {
	for _, s := range c.sockets {
		if s.namespace == namespace {
			return s
		}
	}
	return nil
}

// Close ends the connection in good order: it sends what is queued, says
// goodbye, and returns when the connection is gone, at the latest after
// Options.CloseTimeout. If something could not be sent, it returns an error
// that wraps [ErrNotSent].
//
// It does not wait for handlers, so they may call it; [Client.Wait] does.
// Close may be called several times. A client that never ran is not closed by
// it but cannot be run any more.
func (c *Client) Close() error {
	c.close()
	if c.running() == nil {
		return nil
	}
	<-c.gone
	return c.unsent()
}

// Wait returns when the client has ended and the last handler has returned. It
// returns what Run returns. Handlers must not call it.
func (c *Client) Wait() error {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Transport is the name of the transport in use, "" while there is none.
func (c *Client) Transport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return ""
	}
	return c.session.conn.Transport()
}

// announce wants c.mu held.
func (c *Client) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) changes() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announce()
}

func (c *Client) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// awaitConnected returns when every socket is connected, or when one of them
// will not be.
func (c *Client) awaitConnected(ctx context.Context) error {
	for {
		c.mu.Lock()
		sockets, changed, last := c.sockets, c.changed, c.last
		c.mu.Unlock()
		ready := true
		for _, s := range sockets {
			connected, refused := s.state()
			if refused != nil {
				return refused
			}
			ready = ready && connected
		}
		switch {
		case ready:
			return nil
		case last != nil:
			return last
		}
		select {
		case <-changed:
		case <-c.quit:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("connecting to %s: %w", c.url, context.Cause(ctx))
		}
	}
}

// unsent counts what was emitted and never left.
func (c *Client) unsent() error {
	c.mu.Lock()
	sockets := c.sockets
	c.mu.Unlock()
	n := 0
	for _, s := range sockets {
		n += s.unsent()
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of them", ErrNotSent, n)
}

// isClosing tells an end that was asked for from one that was not.
func (c *Client) isClosing() bool {
	select {
	case <-c.quit:
		return true
	default:
		return false
	}
}

// engineOptions prefers WebSocket once it is known to work.
func (c *Client) engineOptions() engine.Options {
	o := c.opts.engine()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opts.RememberUpgrade && c.upgraded {
		o.Transports = []string{WebSocket, Polling}
	}
	return o
}
