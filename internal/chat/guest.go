package chat

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"

	"golang.org/x/time/rate"

	"server22.local/appliance/realtime"
)

// guest is a socket in the chat.
type guest struct {
	socket *realtime.Socket
	device string // its identity, if it gave a token; not the token itself
	nick   string // that it used last
	rooms  map[string]*room
	limit  *rate.Limiter
}

// identity says who somebody is over several connections: a device's if it has
// shown a token, else the name, which anybody may take.
func identity(device, nick string) string {
	if device != "" {
		return "device:" + device
	}
	return "nick:" + fold(nick)
}

// hashToken makes of a device's token, a secret, what may be stored.
func hashToken(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("chat device\x00" + token))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// arrive makes a guest of a socket that has connected.
func (c *Chat) arrive(s *realtime.Socket) {
	var auth struct {
		Device string `json:"device"`
	}
	_ = s.Auth(&auth) // whatever else it may be, it is no token
	g := &guest{
		socket: s, device: hashToken(auth.Device), rooms: make(map[string]*room),
		limit: rate.NewLimiter(rate.Limit(c.cfg.Rate), c.cfg.Burst),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guests[s] = g
}

// part takes a socket that has ended out of its rooms.
func (c *Chat) part(s *realtime.Socket, _ realtime.Reason) {
	c.mu.Lock()
	var rooms []*room
	if g := c.guests[s]; g != nil {
		rooms = slices.Collect(maps.Values(g.rooms))
	}
	c.mu.Unlock()
	for _, r := range rooms {
		c.takeOut(r, s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.guests, s)
}

// takeOut ends a socket's stay in a room, and tells those who stay.
func (c *Chat) takeOut(r *room, s *realtime.Socket) {
	s.Leave(inRoom(r.name))
	r.exit(s, c.tell(r.name, s))
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.guests[s]
	if g == nil || g.rooms[r.name] != r {
		return
	}
	delete(g.rooms, r.name)
	if r.guests--; r.guests == 0 {
		delete(c.rooms, r.name)
		c.keeper.Release(r.name)
	}
}

// tell returns what tells a room, but not the socket that it is about.
func (c *Chat) tell(name string, about *realtime.Socket) func(presence) {
	return func(p presence) { c.emit(c.to(name).Except(about.ID()), "presence", p) }
}

// presence says that somebody came or went.
type presence struct {
	Room   string `json:"room"`
	Nick   string `json:"nick"`
	Joined bool   `json:"joined"`
}

// emitter is a choice of receivers.
type emitter interface {
	Emit(event string, args ...any) error
}

func (c *Chat) emit(to emitter, event string, value any) {
	if err := to.Emit(event, value); err != nil {
		c.cfg.Logger.Debug("emitting", "event", event, "err", err)
	}
}

// member returns the room and the name under which a socket is in it.
func (c *Chat) member(s *realtime.Socket, name string) (*guest, *room, string, error) {
	c.mu.Lock()
	g := c.guests[s]
	var r *room
	if g != nil {
		r = g.rooms[name]
	}
	c.mu.Unlock()
	if r == nil {
		return nil, nil, "", noMember(name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return g, r, r.members[s], nil
}

func noMember(name string) error {
	return forbidden("not_joined", "emit join with the room and your nick first", "you are not in the room %q", name)
}

// Nick is the name that a socket used last in the chat, "" if it is not there.
func (c *Chat) Nick(s *realtime.Socket) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.guests[s]; g != nil {
		return g.nick
	}
	return ""
}
