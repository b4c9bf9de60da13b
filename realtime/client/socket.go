package client

import (
	"context"
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
