package client

import (
	"context"
	"encoding/json"
	"fmt"

	"server22.local/appliance/realtime/packet"
)

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
