package chat

import (
	"context"
	"net/http"
	"slices"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/history"
)

// Serve puts the chat's verbs on a namespace: join, leave, message, typing,
// history, search, rooms, direct, and the administrator's delete, kick and
// lock. It is called once, before the server serves.
func (c *Chat) Serve(ns *realtime.Namespace) {
	c.ns = ns
	ns.OnConnect(c.arrive)
	ns.OnDisconnect(c.part)
	ns.UseEvent(onlyKnown)
	onAck(ns, "join", c.join)
	onAck(ns, "message", c.message)
	onAck(ns, "direct", c.direct)
	onAck(ns, "kick", c.kick)
	onAck(ns, "lock", c.lock)
	handle(ns, "leave", c.leave)
	handle(ns, "typing", c.typing)
	handle(ns, "history", c.history)
	handle(ns, "search", c.find)
	handle(ns, "rooms", c.listRooms)
	handle(ns, "delete", c.delete)
}

var verbs = []string{"join", "leave", "message", "typing", "history", "search", "rooms", "direct", "delete", "kick", "lock"}

// onlyKnown refuses events that mean nothing here, so that a typing error is
// found.
func onlyKnown(_ context.Context, e *realtime.Event) error {
	if slices.Contains(verbs, e.Name()) {
		return nil
	}
	return problem.Refuse(problem.New(http.StatusNotFound, "no_event", "the chat knows no event "+e.Name(), "see /docs/ for those that it knows"))
}

// handle is realtime.Handle, and onAck realtime.OnAck, for what refuses with
// problems.
func handle[A, R any](ns *realtime.Namespace, event string, fn func(context.Context, *realtime.Socket, A) (R, error)) {
	realtime.Handle(ns, event, func(ctx context.Context, s *realtime.Socket, a A) (R, error) {
		r, err := fn(ctx, s, a)
		return r, problem.Refuse(err)
	})
}

func onAck[A any](ns *realtime.Namespace, event string, fn func(context.Context, *realtime.Socket, A, answer) error) {
	realtime.OnAck(ns, event, func(ctx context.Context, s *realtime.Socket, a A, ack *realtime.Ack) error {
		return problem.Refuse(fn(ctx, s, a, answer{ack}))
	})
}

// answer is an acknowledgement that may be given later, from another
// goroutine. The client may be gone by then.
type answer struct{ ack *realtime.Ack }

func (a answer) give(value any, err error) {
	if err != nil {
		_ = a.ack.Fail(problem.Refuse(err))
		return
	}
	_ = a.ack.Send(value)
}

type joining struct {
	Room   string        `json:"room"`
	Nick   string        `json:"nick"`
	Since  history.Since `json:"since"`
	Device string        `json:"device"`
}

// joined is what somebody sees first of a room.
type joined struct {
	Room     string    `json:"room"`
	Members  []string  `json:"members"`
	Messages []Message `json:"messages"`
	Last     uint64    `json:"last"`
	History  string    `json:"history"` // another one: what was held before is of another life
	Posting  string    `json:"posting"`
	Locked   bool      `json:"locked"` // somebody may not write
	// More says that there are older messages than those given: ask for them
	// with history and before.
	More bool `json:"more,omitempty"`
}

func (c *Chat) join(ctx context.Context, s *realtime.Socket, j joining, reply answer) error {
	nick, err := cleanNick(j.Nick)
	if err != nil {
		return err
	}
	if err := checkRoom(j.Room); err != nil {
		return err
	}
	if j.Device != "" {
		c.setDevice(s, hashToken(j.Device))
	}
	if err := c.mayEnter(s, j.Room, nick); err != nil {
		return err
	}
	r, err := c.enter(s, j.Room, nick)
	if err != nil {
		return err
	}
	now, _ := c.cfg.Clock()
	page := Page{Room: j.Room, Since: j.Since}
	if page.Since.Seq > 0 {
		page.Since = c.sane(ctx, page)
	}
	posting, life := c.postingOf(j.Room), c.historyName()
	err = c.keeper.Begin(ctx, page.query(now), func(entries []history.Message, last uint64) {
		s.Join(inRoom(j.Room))
		reply.give(joined{
			Room: j.Room, Members: r.names(), Messages: fromEntries(entries), Last: last, History: life,
			Posting: posting, Locked: posting != postingAll,
			More: len(entries) > 0 && entries[0].Seq > page.Since.Seq+1,
		}, nil)
	})
	if err != nil {
		c.takeOut(r, s)
		return err
	}
	return nil
}

// sane forgets a number that the room never reached: it is of another life of
// this server, and everything is new.
func (c *Chat) sane(ctx context.Context, p Page) history.Since {
	last, err := c.cfg.Log.Last(ctx, p.Room)
	if err == nil && p.Since.Seq > last {
		return history.Since{}
	}
	return p.Since
}

func (c *Chat) setDevice(s *realtime.Socket, device string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.guests[s]; g != nil {
		g.device = device
	}
}

func (c *Chat) mayEnter(s *realtime.Socket, name, nick string) error {
	now, _ := c.cfg.Clock()
	c.mu.Lock()
	rules := c.rules[name]
	device := ""
	if g := c.guests[s]; g != nil {
		device = g.device
	}
	c.mu.Unlock()
	if until, out := rules.kicked(now, identity(device, nick), identity("", nick)); out {
		return kickedOut(name, now, until)
	}
	if isDirect(name) && !c.mayEnterDirect(s, device, name, nick) {
		return forbidden("not_yours", "emit direct to talk with somebody alone", "the room is for two, and you are neither")
	}
	return nil
}

// enter puts a socket into a room.
func (c *Chat) enter(s *realtime.Socket, name, nick string) (*room, error) {
	r, err := c.take(s, name, nick)
	if err == nil {
		r.enter(s, nick, c.tell(name, s))
	}
	return r, err
}

// take makes a room one of a guest's, and makes it if it is not there.
func (c *Chat) take(s *realtime.Socket, name, nick string) (*room, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, r := c.guests[s], c.rooms[name]
	switch {
	case g == nil:
		return nil, realtime.ErrDisconnected
	case g.rooms[name] == nil && len(g.rooms) >= maxJoined:
		return nil, problem.New(http.StatusTooManyRequests, "too_many_rooms", "you are in too many rooms", "leave some")
	case r == nil && len(c.rooms) >= c.cfg.MaxRooms:
		return nil, problem.New(http.StatusTooManyRequests, "too_many_rooms", "there are too many rooms", "join one of those that there are")
	case r == nil:
		r = newRoom(name)
		c.rooms[name] = r
	}
	if g.rooms[name] == nil {
		g.rooms[name] = r
		r.guests++
	}
	g.nick = nick
	return r, nil
}

func (c *Chat) historyName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.decisions.history
}

func (c *Chat) postingOf(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rules[name].posting()
}

type inRoomQuery struct {
	Room string `json:"room"`
}

func (c *Chat) leave(_ context.Context, s *realtime.Socket, q inRoomQuery) (struct{}, error) {
	if _, r, _, err := c.member(s, q.Room); err == nil {
		c.takeOut(r, s)
	}
	return struct{}{}, nil
}

type saying struct {
	Room string `json:"room"`
	Text string `json:"text"`
	ID   string `json:"id"`
}

func (c *Chat) message(ctx context.Context, s *realtime.Socket, m saying, reply answer) error {
	g, r, nick, err := c.member(s, m.Room)
	if err != nil {
		return err
	}
	if !g.limit.Allow() {
		return problem.New(http.StatusTooManyRequests, "too_often", "too many messages at once", "wait a moment, then send it again with the same id")
	}
	c.mu.Lock()
	device := g.device
	c.mu.Unlock()
	author := Author{Nick: nick, Admin: c.cfg.Admin(s), socket: s, hashed: device}
	c.Say(ctx, m.Room, author, m.Text, m.ID, func(receipt Receipt, err error) { reply.give(receipt, err) })
	if isDirect(m.Room) {
		c.remind(r, identity(device, nick), nick)
	}
	return nil
}

// remind tells the other of a room of two, who is here but not in the room,
// that there is something to read.
func (c *Chat) remind(r *room, me, nick string) {
	c.mu.Lock()
	d := c.directs[r.name]
	c.mu.Unlock()
	for _, who := range d.Who {
		if who == me {
			continue
		}
		for _, s := range c.socketsOf(who) {
			if _, _, _, err := c.member(s, r.name); err != nil {
				c.emit(s, "invited", invitation{r.name, nick})
			}
		}
	}
}

type typing struct {
	Room   string `json:"room"`
	Nick   string `json:"nick"`
	Typing bool   `json:"typing"`
}

func (c *Chat) typing(_ context.Context, s *realtime.Socket, t typing) (struct{}, error) {
	_, _, nick, err := c.member(s, t.Room)
	if err != nil {
		return struct{}{}, err
	}
	t.Nick = nick
	c.emit(c.to(t.Room).Except(s.ID()).Volatile(), "typing", t)
	return struct{}{}, nil
}

type messages struct {
	Messages []Message `json:"messages"`
}

func (c *Chat) history(ctx context.Context, s *realtime.Socket, p Page) (messages, error) {
	if err := checkLimit(p.Limit); err != nil {
		return messages{}, err
	}
	if _, _, _, err := c.member(s, p.Room); err != nil {
		found, err := c.Messages(ctx, p) // a room that is open to all
		return messages{found}, err
	}
	found, err := c.page(ctx, p)
	return messages{found}, err
}

type query struct {
	Room  string `json:"room"`
	Text  string `json:"text"`
	Limit int    `json:"limit"`
}

func (c *Chat) find(ctx context.Context, s *realtime.Socket, q query) (messages, error) {
	if err := checkLimit(q.Limit); err != nil {
		return messages{}, err
	}
	rooms := c.RoomsOf(s)
	if q.Room != "" {
		if !slices.Contains(rooms, q.Room) {
			return messages{}, noMember(q.Room)
		}
		rooms = []string{q.Room}
	}
	found, err := c.search(ctx, rooms, q.Text, q.Limit)
	return messages{found}, err
}

// RoomsOf returns the names of the rooms that a socket is in, in their order.
func (c *Chat) RoomsOf(s *realtime.Socket) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := []string{}
	if g := c.guests[s]; g != nil {
		for name := range g.rooms {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

type roomList struct {
	Rooms []RoomInfo `json:"rooms"`
}

func (c *Chat) listRooms(ctx context.Context, s *realtime.Socket, _ struct{}) (roomList, error) {
	open, err := c.Rooms(ctx)
	if err != nil {
		return roomList{}, err
	}
	own, err := c.directsOf(ctx, s)
	return roomList{append(open, own...)}, err
}

// directsOf describes the rooms of two of a client that has shown a token.
func (c *Chat) directsOf(ctx context.Context, s *realtime.Socket) ([]RoomInfo, error) {
	c.mu.Lock()
	found := make(map[string]string)
	if g := c.guests[s]; g != nil && g.device != "" {
		me := identity(g.device, g.nick)
		for name, d := range c.directs {
			if slices.Contains(d.Who[:], me) {
				found[name] = d.peer(me)
			}
		}
	}
	c.mu.Unlock()
	list := []RoomInfo{}
	for name, peer := range found {
		info, err := c.describe(ctx, name)
		if err != nil {
			return nil, err
		}
		info.Direct = peer
		list = append(list, info)
	}
	return list, nil
}

type directQuery struct {
	To string `json:"to"`
}

func (c *Chat) direct(_ context.Context, s *realtime.Socket, q directQuery, reply answer) error {
	c.openDirect(s, q.To, func(name string, err error) { reply.give(inRoomQuery{name}, err) })
	return nil
}
