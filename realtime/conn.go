package realtime

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/internal/memory"
	"server22.local/appliance/realtime/packet"
)

// link is the session beneath a conn: of Engine.IO, or of a plain WebSocket.
type link interface {
	ID() string
	Request() *http.Request
	Transport() string
	Send(*engineio.Packet, engineio.SendOptions) bool
	Cork()
	Uncork()
	Work(engineio.Worker)
	Yield()
	Close(engineio.Reason)
	Done() <-chan struct{}
	QueuedBytes() int
}

// conn is one connection of a client: it puts packets together and hands them
// to the sockets, one for each namespace, that share it.
type conn struct {
	server *Server
	link   link
	legacy bool // Engine.IO 3, which means Socket.IO 1 or 2
	plain  bool // a WebSocket without Socket.IO: its one socket is all there is

	// Of the goroutine that calls Message. codec is also read by those who
	// send, after a socket has connected, which the first packet precedes.
	codec   int
	decoder packet.Decoder // nil until the first message has chosen

	mu      sync.Mutex // guards all following
	sockets []*Socket  // connected and connecting, few: found by going through
	left    []string   // namespaces for which packets may still be on their way
	broken  error      // what the client has done, if that ends the connection
	closed  bool
	idle    *time.Timer // ends a connection that joins nothing
}

func newConn(s *Server, l link) *conn {
	c := &conn{server: s, link: l}
	c.idle = time.AfterFunc(s.o.ConnectTimeout, c.unused)
	return c
}

// unused is called when the time to join a namespace has passed.
func (c *conn) unused() {
	c.mu.Lock()
	joined := len(c.sockets) > 0
	c.mu.Unlock()
	if !joined {
		c.link.Close(ReasonForcedServer)
	}
}

// Message implements engineio.Receiver.
func (c *conn) Message(m engineio.Message) {
	p, err := c.decode(frameOf(m))
	if err != nil {
		c.violated(err)
		return
	}
	if p != nil {
		c.packet(p)
	}
}

// frameOf takes over a message: its arguments are kept until handlers have
// returned, and longer by some.
func frameOf(m engineio.Message) packet.Frame {
	f := packet.Frame{Data: m.Data, Binary: m.Binary}
	switch {
	case m.Owned:
	case m.Binary:
		f.Data = memory.Clone(m.Data)
	default:
		f.Data = bytes.Clone(m.Data)
	}
	if m.Binary && len(f.Data) >= memory.Min {
		f.Lease = memory.Lend(f.Data)
	}
	return f
}

// decode lets the first message choose among the parsers.
func (c *conn) decode(f packet.Frame) (p *packet.Packet, err error) {
	if c.decoder != nil {
		return c.decoder.Decode(f)
	}
	for i, parser := range c.server.o.Parsers {
		d := parser.NewDecoder(c.server.o.Limits)
		if p, err = d.Decode(f); err == nil {
			c.decoder, c.codec = d, i
			return p, nil
		}
	}
	return nil, err
}

// violated ends the connection for what its client has sent.
func (c *conn) violated(err error) {
	c.mu.Lock()
	c.broken = err
	c.mu.Unlock()
	c.server.o.Logger.LogAttrs(c.link.Request().Context(), slog.LevelDebug, "parse error",
		slog.String("remote", c.link.Request().RemoteAddr), slog.Any("err", err))
	c.link.Close(ReasonParseError)
}

func (c *conn) packet(p *packet.Packet) {
	query := ""
	if c.legacy {
		p.Namespace, query, _ = strings.Cut(p.Namespace, "?")
	}
	s := c.find(p.Namespace)
	if p.Type == packet.Connect {
		if s != nil && !c.legacy {
			c.violated(errAlreadyConnected)
		} else if s == nil {
			c.join(p, query)
		}
		return
	}
	if s == nil {
		if !c.hasLeft(p.Namespace) {
			c.violated(errNotConnected)
		}
		return
	}
	switch p.Type {
	case packet.Event:
		s.arrived(job{packet: p})
	case packet.Ack:
		s.acknowledged(p)
	case packet.Disconnect:
		c.remove(s)
		s.end(ReasonClientDisconnect, nil)
		c.removed()
	}
}

func (c *conn) find(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.name == namespace {
			return s
		}
	}
	return nil
}

// hasLeft reports whether the client may not know yet that its socket ended.
func (c *conn) hasLeft(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.left, namespace)
}

// join begins to connect a socket to the namespace that p asks for.
func (c *conn) join(p *packet.Packet, query string) {
	s := newSocket(c, p.Namespace)
	s.query = query
	if c.full() {
		c.violated(errTooManyNamespaces)
		return
	}
	c.add(s, job{run: func() { s.connect(authOf(p)) }})
}

func (c *conn) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sockets) >= c.server.o.MaxNamespaces
}

// add counts a socket among those of the connection and those that Shutdown
// waits for, and has it begin with first, unless the one or the other has
// ended. Closed may end the socket as soon as the lock is free.
func (c *conn) add(s *Socket, first job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !c.server.begin() {
		return
	}
	c.server.workers.Enter()
	c.sockets = append(c.sockets, s)
	c.left = slices.DeleteFunc(c.left, func(name string) bool { return name == s.name })
	c.used()
	s.arrived(first)
}

// used stops the time to join a namespace; mu is held.
func (c *conn) used() {
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil // it would take memory as long as the connection lives
	}
}

// noAuth is what most clients send, or mean by sending nothing.
var noAuth = json.RawMessage("{}")

func authOf(p *packet.Packet) Value {
	text := p.Payload
	if text == nil || string(text) == "{}" {
		text = noAuth
	}
	auth, _ := packet.RawValue(text) // the parser has checked it
	return auth
}

// remove takes a socket off the connection. Packets for it that are already
// on their way are ignored from then on. It comes before the client is told:
// one that asks again at once is to find the place free.
func (c *conn) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.sockets, s)
	if i < 0 {
		return
	}
	c.sockets = slices.Delete(c.sockets, i, i+1)
	if len(c.left) == c.server.o.MaxNamespaces {
		c.left = slices.Delete(c.left, 0, 1)
	}
	c.left = append(c.left, s.name)
}

// removed ends a connection that is there for its one socket.
func (c *conn) removed() {
	if c.plain {
		c.link.Close(ReasonServerDisconnect)
	}
}

// Closed implements engineio.Receiver.
func (c *conn) Closed(reason engineio.Reason, err error) {
	c.mu.Lock()
	c.closed = true
	c.used()
	sockets, cause := c.sockets, cmp.Or(c.broken, err)
	c.sockets = nil
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(reason, cause)
	}
}

// all returns the sockets that share the connection.
func (c *conn) all() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sockets)
}
