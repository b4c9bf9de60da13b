package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/history"
)

// Author is who says something.
type Author struct {
	Nick string
	// Device is a secret that tells one device from another with the same nick;
	// it may be empty.
	Device string
	Admin  bool

	socket *realtime.Socket // that has the acknowledgement, and not the message
	hashed string           // Device, as it is stored
}

// Say stores a message, passes it on to all who are in the room, and then calls
// done. An id that the same author used in the room before gets the receipt of
// then, and nothing is said again. done must not block.
func (c *Chat) Say(ctx context.Context, roomName string, a Author, text, id string, done func(Receipt, error)) {
	if a.Device != "" {
		a.hashed = hashToken(a.Device)
	}
	e, err := c.compose(roomName, a, text, id)
	if err != nil {
		done(Receipt{}, err)
		return
	}
	c.keeper.Publish(ctx, e,
		func(m history.Message) {
			to := c.to(roomName)
			if a.socket != nil {
				to = to.Except(a.socket.ID())
			}
			c.emit(to, "message", fromEntry(m))
		},
		func(r history.Receipt, err error) {
			c.release(roomName)
			if err != nil {
				done(Receipt{}, refused(err))
				return
			}
			done(newReceipt(r), nil)
		})
}

// to chooses the sockets in a room. The prefix tells rooms of the chat from
// those that realtime has for each socket.
func (c *Chat) to(roomName string) realtime.BroadcastOperator { return c.ns.To(inRoom(roomName)) }

func inRoom(name string) string { return "room:" + name }

// release frees the memory of a room that nobody is in.
func (c *Chat) release(roomName string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rooms[roomName] == nil {
		c.keeper.Release(roomName)
	}
}

// compose makes the entry of a message, or refuses it.
func (c *Chat) compose(roomName string, a Author, text, id string) (history.Message, error) {
	if err := firstOf(checkRoom(roomName), checkID(id), checkText(text)); err != nil {
		return history.Message{}, err
	}
	if err := c.mayWrite(roomName, a); err != nil {
		return history.Message{}, err
	}
	data, err := json.Marshal(content{a.Nick, text, id})
	if err != nil {
		return history.Message{}, fmt.Errorf("encoding a message: %w", err)
	}
	now, unset := c.now()
	e := history.Message{Channel: roomName, Time: now, ClockUnset: unset, Data: data}
	if id != "" {
		e.Key = identity(a.hashed, a.Nick) + "/" + id
	}
	return e, nil
}

func (c *Chat) mayWrite(roomName string, a Author) error {
	now, _ := c.cfg.Clock()
	c.mu.Lock()
	r := c.rules[roomName]
	c.mu.Unlock()
	if until, out := r.kicked(now, identity(a.hashed, a.Nick), identity("", a.Nick)); out {
		return kickedOut(roomName, now, until)
	}
	switch {
	case r.posting() == postingNone:
		return forbidden("locked", "the administrator can open it again", "the room %q is locked", roomName)
	case r.posting() == postingAdmin && !a.Admin:
		return forbidden("locked", "you can read along", "only the administrator writes in the room %q", roomName)
	}
	return nil
}

func kickedOut(roomName string, now, until time.Time) error {
	minutes := int((until.Sub(now) + time.Minute - 1) / time.Minute)
	return forbidden("kicked", fmt.Sprintf("come back in %d min", minutes), "you were sent out of the room %q", roomName)
}

// refused makes a refusal of what a log says.
func refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, history.ErrFull):
		return problem.New(http.StatusInsufficientStorage, "not_stored", "not stored: the disk is full", "free some space, then try again")
	case errors.Is(err, history.ErrBusy):
		return problem.New(http.StatusTooManyRequests, "too_often", "not stored: the disk does not keep up", "try again in a moment")
	case errors.Is(err, history.ErrClosed):
		return problem.New(http.StatusServiceUnavailable, "ending", "not stored: the server ends", "try again in a moment")
	}
	return err
}

// Bounds of one answer: those of the page that a client asks for, and of what
// it gets at once to make up for what it missed.
const (
	pageDefault = 50
	pageMost    = 1000
	pageBytes   = 1 << 20
)

// Page asks for messages of a room.
type Page struct {
	Room   string        `json:"room"`
	Before uint64        `json:"before"`
	Since  history.Since `json:"since"`
	Limit  int           `json:"limit"`
}

// query returns what the page asks the log for.
func (p Page) query(now time.Time) history.Query {
	q := history.Query{Channel: p.Room}
	limit := pageDefault
	if p.Since.Given {
		q = p.Since.Query(p.Room, now)
		limit = pageMost
	}
	if p.Limit > 0 {
		limit = min(p.Limit, pageMost)
	}
	q.Before, q.Limit, q.Bytes, q.Prefer = p.Before, limit, pageBytes, history.Newest
	return q
}

// Messages returns a page of a room that is open to all, oldest first. Of more
// than the page takes, it has those that follow since, so that a reader can go
// on from the last one; without since, the newest.
func (c *Chat) Messages(ctx context.Context, p Page) ([]Message, error) {
	if err := checkRoom(p.Room); err != nil {
		return nil, err
	}
	known, err := c.exists(ctx, p.Room)
	if err != nil {
		return nil, err
	}
	if isDirect(p.Room) || !known {
		return nil, noRoom(p.Room)
	}
	side := history.Newest
	if p.Since.Given && p.Before == 0 {
		side = history.Oldest
	}
	return c.pageFrom(ctx, p, side)
}

func (c *Chat) page(ctx context.Context, p Page) ([]Message, error) {
	return c.pageFrom(ctx, p, history.Newest)
}

func (c *Chat) pageFrom(ctx context.Context, p Page, side history.Side) ([]Message, error) {
	defer c.release(p.Room)
	now, _ := c.cfg.Clock()
	q := p.query(now)
	q.Prefer = side
	var found []Message
	err := c.keeper.Begin(ctx, q, func(entries []history.Message, _ uint64) { found = fromEntries(entries) })
	return found, err
}

// Post is Say for one who is not in the room and waits: over HTTP.
func (c *Chat) Post(ctx context.Context, roomName string, a Author, text, id string) (Receipt, error) {
	nick, err := cleanNick(a.Nick)
	if err != nil {
		return Receipt{}, err
	}
	if isDirect(roomName) {
		return Receipt{}, noRoom(roomName)
	}
	a.Nick = nick
	type result struct {
		r   Receipt
		err error
	}
	done := make(chan result, 1)
	c.Say(ctx, roomName, a, text, id, func(r Receipt, err error) { done <- result{r, err} })
	select {
	case got := <-done:
		return got.r, got.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

// search looks in the rooms that a client is in.
func (c *Chat) search(ctx context.Context, rooms []string, text string, limit int) ([]Message, error) {
	if limit <= 0 {
		limit = pageDefault
	}
	found, err := c.cfg.Log.Search(ctx, rooms, text, min(limit, pageMost))
	return fromEntries(found), err
}
