package client

import (
	"context"
	"fmt"

	"server22.local/appliance/realtime/packet"
)

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
