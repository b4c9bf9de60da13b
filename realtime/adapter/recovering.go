package adapter

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"server22.local/appliance/realtime/packet"
	"server22.local/appliance/realtime/recovery"
)

// Recovering is a Memory that keeps what passes in a log, so that a client
// whose connection was lost can go on with its session.
//
// Every event that asks for no acknowledgement and is not volatile gets its
// offset as the last argument; the client remembers it. The order of offsets
// must be the order of delivery, or a client that came back would miss what
// was logged before and delivered after its last event: so, unlike other
// adapters, this one holds a lock from the one to the other. Deliver fills
// queues under it and writes little.
type Recovering struct {
	*Memory
	log recovery.Log

	order sync.Mutex // held while a packet is logged and delivered; taken before all others
}

// NewRecovering returns an adapter that keeps in log.
func NewRecovering(m *Memory, log recovery.Log) *Recovering {
	return &Recovering{Memory: m, log: log}
}

// Broadcast implements Adapter.
func (a *Recovering) Broadcast(p *packet.Packet, o Options) {
	if p.Type != packet.Event || p.HasID {
		a.Memory.Broadcast(p, o)
		return
	}
	a.order.Lock()
	defer a.order.Unlock()
	if offset := a.keep(p, o); offset != "" {
		p, o.Flags.Offset = withOffset(p, offset), true
	}
	a.Memory.Broadcast(p, o)
}

// keep returns the offset with which a packet is to be sent, if with any.
// Volatile packets are not kept; where the last argument of one is a string, a
// client would take that for an offset, so it gets a true one.
func (a *Recovering) keep(p *packet.Packet, o Options) (offset string) {
	if !o.Flags.Volatile {
		offset, _ = a.log.Append(recovery.Entry{Packet: p, Rooms: o.Rooms, Except: o.Except}) // "" after an error
		return offset
	}
	if last := p.Args[len(p.Args)-1]; len(p.Args) > 1 && last[0] == '"' {
		return a.log.Offset()
	}
	return ""
}

func withOffset(p *packet.Packet, offset string) *packet.Packet {
	again := *p
	again.Args = append(slices.Clip(p.Args), json.RawMessage(strconv.Quote(offset)))
	return &again
}

// Offset is where a session that begins now begins.
func (a *Recovering) Offset() string { return a.log.Offset() }

// Until is when the last session is over that is kept.
func (a *Recovering) Until() time.Time { return a.log.Until() }

// Close implements Adapter: it closes the log, if that can be closed.
func (a *Recovering) Close() error {
	if c, ok := a.log.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// AddAll implements Adapter.
func (a *Recovering) AddAll(m Member, rooms ...string) {
	a.Memory.AddAll(m, rooms...)
	a.saveLive(m)
}

// Del implements Adapter.
func (a *Recovering) Del(m Member, room string) {
	a.Memory.Del(m, room)
	a.saveLive(m)
}

// Snapshotter is a member whose session can be saved while it is connected.
type Snapshotter interface {
	// Session returns the session, or false if there is none to save.
	Session() (Session, bool)
}

// saveLive lets a log that outlives a crash know how the session stands.
func (a *Recovering) saveLive(m Member) {
	if !a.log.Live() || a.gone(m) {
		return
	}
	if s, ok := m.(Snapshotter); ok {
		if session, ok := s.Session(); ok {
			_ = a.log.SaveSession(session) // without it the client begins anew
		}
	}
}

// PersistSession implements Adapter.
func (a *Recovering) PersistSession(s Session) error { return a.log.SaveSession(s) }

// DropSession forgets a session that must not come back.
func (a *Recovering) DropSession(pid string) {
	if a.log.Live() {
		a.log.TakeSession(pid)
	}
}

// RestoreSession implements Adapter.
func (a *Recovering) RestoreSession(m Member, pid, offset string) (*Restored, error) {
	restored, err := a.restore(m, pid, offset)
	if a.watch != nil {
		a.tell() // not under the lock: who watches may broadcast
	}
	return restored, err
}

func (a *Recovering) restore(m Member, pid, offset string) (*Restored, error) {
	a.order.Lock()
	defer a.order.Unlock()
	s, ok := a.log.TakeSession(pid)
	if !ok {
		return nil, ErrNoSession
	}
	if offset == "" {
		offset = s.Start
	}
	entries, ok := a.log.Since(offset)
	if !ok {
		return nil, ErrNoSession
	}
	restored := &Restored{Session: s}
	for _, e := range entries {
		if e.For(s.Rooms) {
			restored.Missed = append(restored.Missed, withOffset(e.Packet, e.Offset))
		}
	}
	if !m.Resume(restored) {
		return nil, ErrNoSession
	}
	a.addAll(m, s.Rooms)
	return restored, nil
}
