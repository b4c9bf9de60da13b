package chat

import (
	"context"
	"net/http"
	"slices"
	"time"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
)

// onlyAdmin refuses everybody else.
func (c *Chat) onlyAdmin(s *realtime.Socket) error {
	if c.cfg.Admin(s) {
		return nil
	}
	return forbidden("not_admin", "log in on /admin/", "only the administrator may do this")
}

type deletion struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
}

func (c *Chat) delete(ctx context.Context, s *realtime.Socket, d deletion) (struct{}, error) {
	if err := c.onlyAdmin(s); err != nil {
		return struct{}{}, err
	}
	found, err := c.keeper.Delete(ctx, d.Room, d.Seq)
	if err != nil {
		return struct{}{}, refused(err)
	}
	if !found {
		return struct{}{}, problem.New(http.StatusNotFound, "no_message", "there is no such message", "it may be gone already")
	}
	c.emit(c.to(d.Room), "deleted", d)
	return struct{}{}, nil
}

// kickDefault is how long somebody stays out if nobody says.
const kickDefault = 10

type kick struct {
	Room    string `json:"room"`
	Nick    string `json:"nick"`
	Minutes *int   `json:"minutes"` // 0: out, but free to come back, also if kicked before
}

// kicked is what the room is told.
type kicked struct {
	Room    string `json:"room"`
	Nick    string `json:"nick"`
	Minutes int    `json:"minutes"`
}

// kick keeps a name, and the devices that have it, out of a room for a while.
func (c *Chat) kick(_ context.Context, s *realtime.Socket, k kick, reply answer) error {
	if err := c.onlyAdmin(s); err != nil {
		return err
	}
	if err := firstOf(checkRoom(k.Room), checkName("nick", k.Nick, maxNick)); err != nil {
		return err
	}
	minutes := kickDefault
	if k.Minutes != nil {
		minutes = min(max(0, *k.Minutes), maxMinutes)
	}
	targets, ids := c.targets(k.Room, k.Nick)
	now, _ := c.cfg.Clock()
	until := now.Add(time.Duration(minutes) * time.Minute).UnixMilli()
	c.change(k.Room, func(r *rules) {
		for _, id := range ids {
			r.Kicked[id] = until
		}
	}, func(err error) {
		if err != nil {
			reply.give(nil, err)
			return
		}
		c.emit(c.to(k.Room), "kicked", kicked{k.Room, k.Nick, minutes})
		for _, target := range targets {
			if _, r, _, err := c.member(target, k.Room); err == nil {
				c.takeOut(r, target)
			}
		}
		reply.give(struct{}{}, nil)
	})
	return nil
}

// targets returns the sockets of a name in a room, and the identities that
// are to stay out.
func (c *Chat) targets(name, nick string) ([]*realtime.Socket, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := []string{identity("", nick)}
	r := c.rooms[name]
	if r == nil {
		return nil, ids
	}
	sockets := r.called(nick)
	for _, s := range sockets {
		if g := c.guests[s]; g != nil && g.device != "" {
			ids = append(ids, identity(g.device, nick))
		}
	}
	return sockets, ids
}

type lock struct {
	Room    string  `json:"room"`
	Posting posting `json:"posting"`
}

func (c *Chat) lock(_ context.Context, s *realtime.Socket, l lock, reply answer) error {
	if err := c.onlyAdmin(s); err != nil {
		return err
	}
	if err := checkRoom(l.Room); err != nil {
		return err
	}
	if !slices.Contains([]posting{postingAll, postingAdmin, postingNone}, l.Posting) {
		return bad("bad_posting", `posting is "all", "admin" or "none"`, "nobody knows what posting %q is", l.Posting)
	}
	c.change(l.Room, func(r *rules) { r.Posting = string(l.Posting) }, func(err error) {
		if err == nil {
			c.emit(c.to(l.Room), "locked", l)
		}
		reply.give(struct{}{}, err)
	})
	return nil
}
