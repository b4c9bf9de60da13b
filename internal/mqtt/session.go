package mqtt

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/realtime/history"
)

const (
	// helloWait is how long a client may take to say who it is.
	helloWait = 10 * time.Second
	// writeWait is how long a client may take to accept what is written.
	writeWait = 30 * time.Second
	// silence is how long a client may be silent that names no time itself.
	silence = 10 * time.Minute
	// maxHello bounds the first packet, of which anybody may send one.
	maxHello = 64 << 10
)

// session is one client, for as long as its connection lives. Its packets are
// handled in their order by one goroutine; another one writes what it
// subscribed to.
type session struct {
	server *Server
	conn   net.Conn
	in     *bufio.Reader
	end    context.CancelFunc
	hello  hello
	stream *bus.Stream
	limit  *rate.Limiter
	// arrived are the identifiers of QoS 2 whose PUBREL is still to come: such a
	// message is not published twice.
	arrived map[uint16]bool

	mu  sync.Mutex // held while a packet is written; guards the following field
	old uint64     // messages up to this number were there before the last subscription
}

func newSession(s *Server, conn net.Conn, end context.CancelFunc) *session {
	return &session{
		server: s, conn: conn, in: bufio.NewReader(conn), end: end,
		limit:   rate.NewLimiter(rate.Limit(s.cfg.Rate), s.cfg.Burst),
		arrived: map[uint16]bool{},
	}
}

var errBye = errors.New("the client said goodbye")

// run serves the client until one of the two sides ends.
func (c *session) run(ctx context.Context) error {
	if err := c.greet(); err != nil {
		return err
	}
	c.server.enter(c)
	defer c.server.leave(c)
	c.stream = c.server.cfg.Bus.NewStream(0)
	var writer sync.WaitGroup
	writer.Go(func() { c.forward(ctx) })
	err := c.receive(ctx)
	c.end()
	c.stream.Close()
	writer.Wait()
	if !errors.Is(err, errBye) && c.hello.will != nil {
		_ = c.publish(*c.hello.will) // a will that nobody takes is nobody's error
	}
	return err
}

// greet reads who the client is, and answers.
func (c *session) greet() error {
	if err := c.conn.SetReadDeadline(time.Now().Add(helloWait)); err != nil {
		return err
	}
	p, err := readPacket(c.in, maxHello)
	if err != nil {
		return err
	}
	if p.kind != connect {
		return errProtocol
	}
	c.hello, err = parseConnect(p.body)
	if err == nil && !c.server.cfg.Allow(address(c.conn), c.hello.password) {
		err = refusal(notAllowed)
	}
	if said := answer(err); said != nil {
		err = errors.Join(err, c.write(said))
	}
	return err
}

func address(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// receive handles packets until the client goes, or does what it may not.
func (c *session) receive(ctx context.Context) error {
	patience := silence
	if c.hello.keepAlive > 0 {
		patience = c.hello.keepAlive * 3 / 2 // §3.1.2.10
	}
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		p, err := readPacket(c.in, c.server.cfg.MaxPacket)
		if err != nil {
			return err
		}
		if err := c.handle(ctx, p); err != nil {
			return err
		}
	}
}

func (c *session) handle(ctx context.Context, p packet) error {
	switch p.kind {
	case publish:
		return c.handlePublish(ctx, p)
	case pubrel:
		id, err := p.body.id()
		if err != nil {
			return err
		}
		delete(c.arrived, id)
		return c.write(short(pubcomp, id))
	case subscribe:
		return c.handleSubscribe(ctx, p.body)
	case unsubscribe:
		return c.handleUnsubscribe(p.body)
	case pingreq:
		return c.write(appendPacket(nil, pingresp, 0))
	case disconnect:
		return errBye
	default:
		return errProtocol
	}
}

// maxArrived bounds the messages of QoS 2 that wait for their PUBREL.
const maxArrived = 1000

func (c *session) handlePublish(ctx context.Context, p packet) error {
	if err := c.limit.Wait(ctx); err != nil {
		return err
	}
	var m message
	var err error
	if m.topic, err = p.body.string(); err != nil {
		return err
	}
	var id uint16
	qos := p.flags >> 1 & 3
	switch {
	case qos == 3:
		return errMalformed
	case qos > 0:
		if id, err = p.body.id(); err != nil {
			return err
		}
	}
	m.payload, m.retain = p.body, p.flags&1 != 0
	if qos == 2 && c.arrived[id] {
		return c.write(short(pubrec, id))
	}
	// The standard has no word for a message that is refused: what is wrong
	// with the topic ends the connection, what the bus has no room for is lost.
	if bus.CheckTopic(m.topic) != nil {
		return errProtocol
	}
	if err := c.publish(m); err != nil {
		c.server.cfg.Logger.Debug("an MQTT message was not taken", "client", c.hello.client, "topic", m.topic, "err", err)
	}
	switch qos {
	case 1:
		return c.write(short(puback, id))
	case 2:
		if len(c.arrived) >= maxArrived {
			return errProtocol
		}
		c.arrived[id] = true
		return c.write(short(pubrec, id))
	}
	return nil
}

// publish hands a message to the bus. A retained message without payload
// clears the topic (§3.3.1.3).
func (c *session) publish(m message) error {
	if m.retain && len(m.payload) == 0 {
		return c.server.cfg.Bus.Clear(m.topic)
	}
	var refused error
	c.server.cfg.Bus.Publish(
		bus.Publication{Topic: m.topic, Value: bus.ParseValue(m.payload), Retain: m.retain},
		func(_ bus.Receipt, err error) { refused = err }) // at once: it is not persistent
	return refused
}

const failed = 0x80 // in SUBACK (§3.9.3)

func (c *session) handleSubscribe(ctx context.Context, b body) error {
	id, err := b.id()
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return errProtocol
	}
	granted := binary.BigEndian.AppendUint16(nil, id)
	var filters []string
	for len(b) > 0 {
		filter, err := b.string()
		if err != nil {
			return err
		}
		qos, err := b.byte()
		if err != nil || qos > 2 {
			return errMalformed
		}
		if bus.CheckFilter(filter) != nil {
			granted = append(granted, failed)
			continue
		}
		granted = append(granted, 0)
		filters = append(filters, filter)
	}
	if err := c.write(appendPacket(nil, suback, 0, granted)); err != nil || len(filters) == 0 {
		return err
	}
	c.mu.Lock()
	c.old = c.server.cfg.Bus.Seq()
	c.mu.Unlock()
	// Too many is the only reason left, and it has no answer by now.
	return c.stream.Subscribe(ctx, filters, history.Since{})
}

func (c *session) handleUnsubscribe(b body) error {
	id, err := b.id()
	if err != nil {
		return err
	}
	var filters []string
	for len(b) > 0 {
		filter, err := b.string()
		if err != nil {
			return err
		}
		filters = append(filters, filter)
	}
	if len(filters) == 0 {
		return errProtocol
	}
	c.stream.Unsubscribe(filters)
	return c.write(short(unsuback, id))
}

// forward writes what the client subscribed to until the session ends, or the
// client is too slow.
func (c *session) forward(ctx context.Context) {
	defer c.end()
	for {
		messages, err := c.stream.Next(ctx)
		if err != nil {
			return
		}
		c.mu.Lock()
		old := c.old
		c.mu.Unlock()
		var out []byte
		for _, m := range messages {
			flags := byte(0)
			if m.Retain && m.Seq <= old { // §3.3.1.3: not for those who were there already
				flags = 1
			}
			out = appendPacket(out, publish, flags, prefixed(m.Topic), m.Value.Raw())
		}
		if c.write(out) != nil {
			return
		}
	}
}

// write writes whole packets.
func (c *session) write(packets []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	_, err := c.conn.Write(packets)
	return err
}
