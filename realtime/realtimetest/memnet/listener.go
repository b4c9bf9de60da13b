package memnet

import (
	"context"
	"net"
	"sync"
)

// Listener is a [net.Listener] in memory. The zero value is of no use; see
// [Listen]. It is safe for concurrent use.
type Listener struct {
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once

	mu      sync.Mutex // guards all following fields
	conns   map[*conn]bool
	offline bool
}

// Listen returns a listener.
func Listen() *Listener {
	return &Listener{
		backlog: make(chan net.Conn),
		closed:  make(chan struct{}),
		conns:   map[*conn]bool{},
	}
}

// Accept waits for the next connection. It fails with [net.ErrClosed] once the
// listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and DialContext fail. Connections stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address of the network "memory".
func (l *Listener) Addr() net.Addr { return addr("listener") }

// DialContext makes a connection, whatever the address. It has the form that
// [net/http.Transport] and others ask for.
func (l *Listener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	if l.isOffline() {
		return nil, refused(errOffline)
	}
	near, far := l.pair()
	select {
	case l.backlog <- far:
		return near, nil
	case <-l.closed:
		near.Close()
		return nil, refused(net.ErrClosed)
	case <-ctx.Done():
		near.Close()
		return nil, refused(context.Cause(ctx))
	}
}

// Cut breaks all connections, as a pulled plug does when it is noticed. New
// ones can be made at once.
func (l *Listener) Cut() {
	l.mu.Lock()
	conns := l.conns
	l.conns = map[*conn]bool{}
	l.mu.Unlock()
	for c := range conns {
		c.fail(errCut)
	}
}

// Unplug cuts all connections and refuses new ones until [Listener.Plug].
func (l *Listener) Unplug() {
	l.mu.Lock()
	l.offline = true
	l.mu.Unlock()
	l.Cut()
}

// Plug lets connections be made again.
func (l *Listener) Plug() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offline = false
}

func (l *Listener) isOffline() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.offline
}

func (l *Listener) pair() (near, far *conn) {
	there, back := newStream(), newStream()
	near = &conn{in: back, out: there, listener: l, local: "client", remote: "listener"}
	far = &conn{in: there, out: back, listener: l, local: "listener", remote: "client"}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[near], l.conns[far] = true, true
	return near, far
}

func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

func refused(err error) error {
	return &net.OpError{Op: "dial", Net: "memory", Addr: addr("listener"), Err: err}
}

type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }
