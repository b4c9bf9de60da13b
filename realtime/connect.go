package realtime

import (
	"encoding/json"
	"log/slog"

	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// connect decides about a socket that wants into a namespace; it runs as the
// first of all that happens to the socket.
func (s *Socket) connect(auth Value) {
	s.mu.Lock()
	s.auth = auth
	s.mu.Unlock()
	var ns *Namespace
	err := s.guarded(func() error {
		if ns = s.server().resolve(s, auth); ns == nil {
			return &Refusal{Message: "Invalid namespace"}
		}
		return nil
	})
	if err != nil {
		s.refuse(err)
		return
	}
	restored := s.recover(auth)
	if !restored || !ns.skipsMiddlewares() {
		if err := s.guarded(s.authorize); err != nil {
			s.refuse(err)
			return
		}
	}
	if !s.admit() {
		return
	}
	if hook := s.server().o.Hooks.Connected; hook != nil {
		s.call("Hooks.Connected", func() { hook(s) })
	}
	s.server().o.Logger.LogAttrs(s.Context(), slog.LevelDebug, "socket connected", slog.String("nsp", s.name),
		slog.String("sid", s.id), slog.String("remote", s.Request().RemoteAddr), slog.Bool("recovered", restored))
	for w := range ns.wirings {
		for _, fn := range w.onConnect.all() {
			s.call("OnConnect", func() { (*fn)(s) })
		}
	}
}

// authorize asks the middlewares.
func (s *Socket) authorize() error {
	for w := range s.ns.wirings {
		for _, fn := range w.middlewares.all() {
			if err := (*fn)(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuse tells the client why it does not get in.
func (s *Socket) refuse(err error) {
	if hook := s.server().o.Hooks.Refused; hook != nil {
		hook(s.name, err)
	}
	s.report("socket refused", err)

	body := told(err)
	var payload any = body
	if s.conn.legacy {
		payload = body.Message // Socket.IO 2 reads a bare string, or the data
		if body.Data != nil {
			payload = body.Data
		}
	}
	text, err := json.Marshal(payload)
	if err != nil {
		text = []byte(`{"message":"` + internalError + `"}`)
	}
	s.farewell(&packet.Packet{Type: packet.ConnectError, Namespace: s.name, Payload: text}, ReasonServerDisconnect)
}

// admit puts the socket into its rooms and tells the client. Broadcasts that
// reach it in between wait, so that none comes before the CONNECT and none is
// lost after it.
func (s *Socket) admit() bool {
	if !s.state.CompareAndSwap(connecting, joining) && s.state.Load() != joining {
		return false
	}
	s.mu.Lock()
	rooms := append([]string{s.id}, s.rooms...)
	s.rooms = nil
	s.mu.Unlock()
	s.ns.adapter.AddAll(s, rooms...)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() != joining {
		return false
	}
	s.greet()
	for _, p := range s.early {
		s.conn.link.Send(p, engineio.SendOptions{})
	}
	s.early = nil
	s.ns.live.add(s)
	s.state.Store(connected)
	return true
}

// greet tells the client that it is connected, before anything else reaches
// it. It may be gone already.
func (s *Socket) greet() {
	forms := form{packet: s.greeting()}
	if p, err := forms.of(s.conn); err == nil {
		s.conn.link.Send(p, engineio.SendOptions{Ahead: !s.conn.legacy})
	}
}

// greeting is the CONNECT of the server; Socket.IO 2 has no data in it.
func (s *Socket) greeting() *packet.Packet {
	p := &packet.Packet{Type: packet.Connect, Namespace: s.name}
	switch {
	case s.conn.legacy:
	case s.pid != "":
		p.Payload = json.RawMessage(`{"sid":"` + s.id + `","pid":"` + s.pid + `"}`)
	default:
		p.Payload = json.RawMessage(`{"sid":"` + s.id + `"}`)
	}
	return p
}
