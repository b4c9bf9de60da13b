package client

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"server22.local/appliance/realtime/packet"
)

// Socket is a client's side of one namespace. [Client.Of] makes it.
//
// Its methods are safe for concurrent use.
type Socket struct {
	client    *Client
	namespace string
	inbox     inbox
	handlers  handlers
	outbox    outbox

	// mu is taken first, before that of inbox, outbox, client or engine.
	mu        sync.Mutex // guards all following fields
	active    bool       // wants to be connected
	session   *session   // the connection on which it is, or asks to be, connected
	connected bool
	refused   error // why the server did not connect it, until Connect
	recovered bool
	id        string
	pid       string // names the session to be recovered; a secret
	offset    string // of the last event, for recovery
	early     []*packet.Packet
	ended     bool // the client is closing or has ended
	pending        // what is on its way out
}

func newSocket(c *Client, namespace string) *Socket {
	s := &Socket{client: c, namespace: namespace}
	s.acks = map[uint64]*waiter{}
	s.inbox.socket = s
	s.outbox.socket = s
	return s
}

// Client returns the client that the socket shares with others.
func (s *Socket) Client() *Client { return s.client }

// Namespace returns the namespace, which begins with "/".
func (s *Socket) Namespace() string { return s.namespace }

// ID returns the id that the server gave the socket, "" while it is not
// connected.
func (s *Socket) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Connected tells whether the server has connected the socket.
func (s *Socket) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected
}

// Active tells whether the socket is connected or will be as soon as the
// client has a connection. It is not after Disconnect, or when the server has
// refused or disconnected it.
func (s *Socket) Active() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}

// Recovered tells whether the server has restored what the socket had before
// the connection was lost: its id, rooms, data and the events it missed.
func (s *Socket) Recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovered
}

func (s *Socket) state() (connected bool, refused error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected || !s.active && s.refused == nil, s.refused
}

// Connect makes the socket active again after Disconnect, or after the server
// has refused or disconnected it.
func (s *Socket) Connect() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.active, s.refused = true, nil
	s.mu.Unlock()
	s.client.nudge()
	s.client.mu.Lock()
	x := s.client.session
	s.client.mu.Unlock()
	if x != nil {
		s.join(x)
	}
}

// Disconnect leaves the namespace. OnDisconnect is told [ReasonClientDisconnect].
// When no socket of the client is active any more, the connection is closed.
func (s *Socket) Disconnect() {
	s.disconnect()
	s.client.closeIdle()
}

// Close closes the client with all of its sockets; see [Client.Close].
func (s *Socket) Close() error { return s.client.Close() }

// WaitConnected waits until the socket is connected. It fails if the server
// refuses the socket ([*Refusal]) or the client ends ([ErrClosed]).
func (s *Socket) WaitConnected(ctx context.Context) error {
	for {
		s.client.mu.Lock()
		changed := s.client.changed
		s.client.mu.Unlock()
		s.mu.Lock()
		connected, refused, ended := s.connected, s.refused, s.ended
		s.mu.Unlock()
		switch {
		case connected:
			return nil
		case refused != nil:
			return refused
		case ended:
			return ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for namespace %s: %w", s.namespace, context.Cause(ctx))
		}
	}
}

func (s *Socket) disconnect() {
	s.mu.Lock()
	s.active = false
	x := s.session
	s.mu.Unlock()
	if x == nil {
		return
	}
	// The packet may fail to be queued only if the connection is ending.
	x.sendPacket(&packet.Packet{Type: packet.Disconnect, Namespace: s.namespace})
	s.left(x, ReasonClientDisconnect, nil)
}

// closeIdle closes a connection that no socket uses.
func (c *Client) closeIdle() {
	if c.anyActive() {
		return
	}
	c.mu.Lock()
	x := c.session
	c.mu.Unlock()
	if x != nil {
		x.conn.Close()
	}
}

// join asks the server, on a connection, for the namespace. The connection may
// have ended meanwhile, and the socket be on the next one.
func (s *Socket) join(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active || s.session == x || x.ctx.Err() != nil {
		return
	}
	s.session = x
	if s.client.opts.AuthFunc == nil {
		if err := s.ask(x, s.client.opts.Auth); err != nil {
			s.refuse(err)
		}
		return
	}
	s.client.task(func() { s.authenticate(x) })
}

// ask sends CONNECT. It wants s.mu held.
func (s *Socket) ask(x *session, auth any) error {
	payload, err := s.connectPayload(auth)
	if err != nil {
		return err
	}
	x.sendPacket(&packet.Packet{Type: packet.Connect, Namespace: s.namespace, Payload: payload})
	return nil
}

func (s *Socket) connectPayload(auth any) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if auth != nil {
		text, err := json.Marshal(auth)
		if err == nil {
			err = json.Unmarshal(text, &fields)
		}
		if err != nil {
			return nil, fmt.Errorf("auth of namespace %s is no object: %w", s.namespace, err)
		}
	}
	if s.pid != "" {
		fields["pid"], _ = json.Marshal(s.pid)
		if s.offset != "" {
			fields["offset"], _ = json.Marshal(s.offset)
		}
	}
	if len(fields) == 0 {
		return nil, nil
	}
	return json.Marshal(fields)
}

// authenticate asks AuthFunc, again and again if it fails, as long as the
// connection is there.
func (s *Socket) authenticate(x *session) {
	o := s.client.opts
	waits := backoff{delay: o.ReconnectDelay, most: o.ReconnectDelayMax, jitter: o.ReconnectJitter}
	for x.ctx.Err() == nil {
		auth, err := o.AuthFunc(x.ctx, s.namespace)
		if err == nil {
			s.mu.Lock()
			if s.session == x && s.active && !s.connected {
				err = s.ask(x, auth)
			}
			s.mu.Unlock()
		}
		if err == nil {
			return
		}
		s.attemptFailed(fmt.Errorf("authenticating for namespace %s: %w", s.namespace, err))
		sleep(waits.next(), x.ctx.Done())
	}
}

// refuse ends the wish to be connected. It wants s.mu held.
func (s *Socket) refuse(err error) {
	s.active, s.session, s.refused, s.early = false, nil, err, nil
	s.inbox.push(delivery{run: func(context.Context) { s.handleConnectError(err) }})
	s.client.changes()
	s.client.task(s.client.closeIdle) // wants the lock that is held
}

// attemptFailed tells of a failure after which it is tried again.
func (s *Socket) attemptFailed(err error) {
	if s.Active() {
		s.inbox.push(delivery{run: func(context.Context) { s.handleConnectError(err) }})
	}
}

// receive takes a packet for the namespace from the connection's reader. An
// error ends the connection.
func (s *Socket) receive(x *session, p *packet.Packet) error {
	s.mu.Lock()
	mine := s.session == x
	s.mu.Unlock()
	if !mine {
		return nil // late, after Disconnect
	}
	switch p.Type {
	case packet.Connect:
		return s.joined(x, p)
	case packet.ConnectError:
		s.mu.Lock()
		s.refuse(refusal(s.namespace, p.Payload))
		s.mu.Unlock()
	case packet.Disconnect:
		s.mu.Lock()
		s.active = false
		s.mu.Unlock()
		s.left(x, ReasonServerDisconnect, nil)
		s.client.closeIdle()
	case packet.Event:
		return s.event(x, p)
	case packet.Ack:
		s.answered(p)
	}
	return nil
}

// joined makes the socket connected: first the events that it missed are
// handed on, then what was emitted meanwhile is sent.
func (s *Socket) joined(x *session, p *packet.Packet) error {
	var said struct {
		SID string `json:"sid"`
		PID string `json:"pid"`
	}
	if p.Payload != nil {
		if err := json.Unmarshal(p.Payload, &said); err != nil {
			return fmt.Errorf("reading CONNECT: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connected {
		return nil
	}
	if said.SID == "" {
		s.refuse(errOldServer)
		return nil
	}
	s.recovered = said.PID != "" && said.PID == s.pid
	if !s.recovered {
		s.offset = ""
	}
	s.id, s.pid, s.connected = said.SID, said.PID, true
	early := s.early
	s.early = nil
	s.inbox.push(delivery{run: s.handleConnect})
	for _, event := range early {
		if err := s.deliver(x, event); err != nil {
			return err
		}
	}
	s.flush()
	s.outbox.nudge()
	s.client.changes()
	return nil
}

// event hands an event on, or keeps it until CONNECT: when a session is
// recovered, the events that it missed come first.
func (s *Socket) event(x *session, p *packet.Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connected {
		return s.deliver(x, p)
	}
	s.early = append(s.early, p)
	if s.inbox.fits(sizeOf(s.early...)) {
		return nil
	}
	return errOverflow
}

// deliver wants s.mu held.
func (s *Socket) deliver(x *session, p *packet.Packet) error {
	if s.pid != "" && !p.HasID {
		// Events with an id bear no offset: only the server's plain emits are
		// logged for recovery.
		if offset, ok := trailingString(p); ok {
			s.offset = offset
		}
	}
	if !s.inbox.fits(sizeOf(p)) {
		return errOverflow
	}
	s.inbox.push(delivery{packet: p, session: x, size: sizeOf(p)})
	return nil
}

func trailingString(p *packet.Packet) (string, bool) {
	if len(p.Args) < 2 || p.Args[len(p.Args)-1][0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(p.Args[len(p.Args)-1], &s)
	return s, err == nil
}

// left takes the socket off a connection, which may live on.
func (s *Socket) left(x *session, why Reason, err error) {
	s.mu.Lock()
	if s.session != x {
		s.mu.Unlock()
		return
	}
	was := s.connected
	s.session, s.connected, s.recovered, s.id, s.early = nil, false, false, "", nil
	waiting := s.takeAcks()
	if was {
		s.inbox.push(delivery{run: func(context.Context) { s.handleDisconnect(why) }})
	}
	s.mu.Unlock()
	for _, w := range waiting {
		w.end(answer{err: fmt.Errorf("%w: %s", ErrDisconnected, why)})
	}
	s.client.changes()
}

// retire lets nothing be emitted any more: the client closes.
func (s *Socket) retire() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.outbox.retire()
	s.client.changes()
}

// abandon is the end of the client.
func (s *Socket) abandon() {
	s.mu.Lock()
	s.ended, s.active = true, false
	waiting := append(s.takeAcks(), s.takeBuffered()...)
	s.mu.Unlock()
	s.outbox.abandon()
	for _, w := range waiting {
		w.end(answer{err: ErrClosed})
	}
	s.client.changes()
}
