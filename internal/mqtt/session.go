package mqtt

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/time/rate"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/problem"
)

const (
	// helloWait is how long a client may take to say who it is.
	helloWait = 10 * time.Second
	// writeWait is how long a client may take to accept what is written.
	writeWait = 30 * time.Second
	// maxHello bounds the first packet, of which anybody may send one.
	maxHello = 64 << 10
)

var errHello = errors.New("the first packet is no CONNECT, or too large")

// session is one client, for as long as its connection lives. It is the
// connection that the broker reads and writes, so that its hooks find it.
// One goroutine handles the client's packets, another writes what it
// subscribed to.
type session struct {
	net.Conn
	in     *bufio.Reader
	ctx    context.Context // the broker's hooks are given none
	server *Server
	limit  *rate.Limiter
	stream *bus.Stream
	writer sync.WaitGroup

	// Of the goroutine that handles packets.
	client  *broker.Client // nil until it was let in
	will    *message
	holding bool // sending

	sending sync.Mutex // held while the other goroutine writes, or must not

	mu   sync.Mutex // guards all following fields
	subs map[string]packets.Subscription
	old  uint64   // messages up to this number were there before the last subscription
	own  []uint64 // messages of its own that a subscription with No Local would bring back
}

// message is what is published.
type message struct {
	topic   string
	payload []byte
	retain  bool
}

func newSession(ctx context.Context, s *Server, conn net.Conn) *session {
	return &session{
		Conn: conn, in: bufio.NewReaderSize(conn, 16), ctx: ctx, server: s,
		limit:  rate.NewLimiter(rate.Limit(s.cfg.Rate), s.cfg.Burst),
		stream: s.cfg.Bus.NewStream(0),
		subs:   map[string]packets.Subscription{},
	}
}

func (c *session) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write bounds how long the client may take.
func (c *session) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SetDeadline is what the broker calls for keep-alive (§3.1.2.10), which is
// about reading.
func (c *session) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// run serves the client until one of the two sides ends.
func (c *session) run() (err error) {
	// A packet that the broker's parser panics at, as a SUBSCRIBE of MQTT 5 that
	// is cut short (v2.7.9), ends the connection that it came on.
	defer func() {
		if said := recover(); said != nil {
			err = fmt.Errorf("malformed packet: %v", said)
		}
	}()
	if err := c.checkHello(); err != nil {
		return err
	}
	return c.server.broker.EstablishConnection("", c)
}

// checkHello looks at the head of the first packet before it is believed.
func (c *session) checkHello() error {
	if err := c.SetReadDeadline(time.Now().Add(helloWait)); err != nil {
		return err
	}
	head, err := c.in.Peek(5) // no CONNECT is shorter
	if err != nil {
		return err
	}
	n, size := binary.Uvarint(head[1:])
	if head[0]>>4 != packets.Connect || size <= 0 || n > maxHello {
		return errHello
	}
	return nil
}

// begin is called once the client was let in.
func (c *session) begin(client *broker.Client) {
	c.client = client
	c.writer.Go(func() { c.forward(client) })
}

// end ends what run began, and publishes the will of who did not say goodbye.
func (c *session) end() {
	c.Close()
	c.letGo()
	c.stream.Close()
	c.writer.Wait()
	if c.client == nil {
		return
	}
	c.forget()
	if c.will != nil && !errors.Is(c.client.StopCause(), packets.CodeDisconnect) {
		_ = c.publish(*c.will) // a will that nobody takes is nobody's error
	}
}

// hold keeps what the client subscribed to from being written until letGo.
func (c *session) hold() {
	c.sending.Lock()
	c.holding = true
}

func (c *session) letGo() {
	if c.holding {
		c.holding = false
		c.sending.Unlock()
	}
}

// forget takes the client out of the broker's books after a panic.
func (c *session) forget() {
	clients := c.server.broker.Clients
	if now, ok := clients.Get(c.client.ID); ok && now == c.client {
		c.server.broker.UnsubscribeClient(c.client)
		clients.Delete(c.client.ID)
	}
}

func (c *session) name() string {
	if c.client == nil {
		return ""
	}
	return c.client.ID
}

func (c *session) address() netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// publish hands a message to the bus. A retained message without payload is
// passed on like others, and clears the topic (§3.3.1.3).
func (c *session) publish(m message) error {
	clears := m.retain && len(m.payload) == 0
	var refused error
	c.mu.Lock()
	c.server.cfg.Bus.Publish(
		bus.Publication{Topic: m.topic, Value: bus.ParseValue(m.payload), Retain: m.retain && !clears},
		func(r bus.Receipt, err error) { // at once: it is not persistent
			refused = err
			if err == nil && c.comesBack(m.topic) {
				c.own = append(c.own, r.Seq)
			}
		})
	c.mu.Unlock()
	if refused != nil || !clears {
		return refused
	}
	err := c.server.cfg.Bus.Clear(m.topic)
	if p, ok := errors.AsType[problem.Problem](err); ok && p.Status == http.StatusNotFound {
		return nil // somebody else was faster
	}
	return err
}

// comesBack says that a message of its own is not wanted. c.mu is held.
func (c *session) comesBack(topic string) bool {
	for filter, sub := range c.subs {
		if sub.NoLocal && bus.Match(filter, topic) {
			return true
		}
	}
	return false
}
