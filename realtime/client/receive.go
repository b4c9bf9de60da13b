package client

import (
	"encoding/json"

	"server22.local/appliance/realtime/packet"
)

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
