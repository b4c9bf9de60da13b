package relay

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/history"
)

// tutorial is the server of Socket.IO's tutorial, in the form of its last
// steps: a message is stored, and sent to everybody with its number; a client
// says the last number that it has seen when it comes back.
type tutorial struct {
	ns     *realtime.Namespace
	keeper *history.Keeper
}

// tutorialChannel is where the tutorial's messages are in the log.
const tutorialChannel = "tutorial"

// replayMost bounds what a client gets that comes for the first time.
const (
	replayMost  = 1000
	replayBytes = 192 << 10
)

// Tutorial puts the tutorial's event on a namespace: chat message, with the
// client's offset as second argument and an acknowledgement, if the client
// sends them; serverOffset in the handshake. What is said is kept in log, by the
// keeper that is returned.
func Tutorial(ns *realtime.Namespace, log history.Log) *history.Keeper {
	t := &tutorial{ns: ns, keeper: history.NewKeeper(log, 0)}
	ns.OnConnect(t.connected)
	realtime.OnArgs(ns, "chat message", t.message)
	return t.keeper
}

func (t *tutorial) message(ctx context.Context, e *realtime.Event) error {
	var text, offset string
	if err := e.Scan(&text, &offset); err != nil {
		return err
	}
	if len(text) > maxText || len(offset) > maxName {
		return problem.Refuse(problem.New(http.StatusRequestEntityTooLarge, "too_large", "the message is too long", "say it in parts"))
	}
	data, err := json.Marshal(text)
	if err != nil {
		return err
	}
	m := history.Message{Channel: tutorialChannel, Time: time.Now(), Key: offset, Data: data}
	t.keeper.Publish(ctx, m, t.deliver, func(_ history.Receipt, err error) {
		if err != nil {
			_ = e.Ack.Fail(problem.Refuse(problem.New(http.StatusInsufficientStorage, "not_stored", "the message was not stored", "try again in a moment")))
			return
		}
		_ = e.Ack.Send() // it may be gone already
	})
	return nil
}

// deliver sends a message to everybody, its sender too.
func (t *tutorial) deliver(m history.Message) {
	_ = t.ns.To(tutorialRoom).Emit("chat message", json.RawMessage(m.Data), m.Seq) // it was encoded here
}

// tutorialRoom has everybody who has got what was said before.
const tutorialRoom = "tutorial"

// connected gives a client what it missed, if it says where it was: the pages
// of the tutorial's first steps do not.
func (t *tutorial) connected(s *realtime.Socket) {
	var auth struct {
		Offset *float64 `json:"serverOffset"`
	}
	if s.Recovered() || s.Auth(&auth) != nil || auth.Offset == nil || *auth.Offset < 0 {
		s.Join(tutorialRoom)
		return
	}
	q := history.Query{
		Channel: tutorialChannel, After: uint64(*auth.Offset), Limit: replayMost, Bytes: replayBytes, Prefer: history.Newest,
	}
	err := t.keeper.Begin(s.Context(), q, func(missed []history.Message, _ uint64) {
		for _, m := range missed {
			_ = s.Emit("chat message", json.RawMessage(m.Data), m.Seq) // it may be gone already
		}
		s.Join(tutorialRoom)
	})
	if err != nil {
		s.Join(tutorialRoom)
	}
}
