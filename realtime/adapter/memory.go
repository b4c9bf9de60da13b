package adapter

import (
	"context"
	"errors"
	"slices"
	"sync"

	"server22.local/appliance/realtime/packet"
)

// ErrNoSession says that a session cannot be restored: it is unknown, too
// old, or its offset is.
var ErrNoSession = errors.New("no such session")

// Memory is the adapter of a single server. It also is the local half of
// adapters for clusters.
type Memory struct {
	local Local
	watch func(Change) // nil if nobody watches

	mu      sync.Mutex // guards all following and the seats of all members
	rooms   map[string]*room
	all     room   // every member
	epoch   uint64 // of the last choice; see Seat.mark
	changes []Change
	telling bool
}

// room holds its members without order: one who leaves is replaced by the
// last.
type room struct {
	name    string
	members []seated
}

// seated is a member, and where in its seat the room is listed.
type seated struct {
	member Member
	seat   *Seat
	at     int
}

// Seat is what Memory knows of one member; its place is with the member so
// that no map has to be asked in a broadcast.
type Seat struct {
	places []place
	inline [2]place
	mark   uint64 // the epoch in which the member was chosen or excepted
	left   bool   // DelAll is final: a late AddAll would leak the rooms
}

// place is a room, and where in its list the member is.
type place struct {
	room *room
	at   int
}

// NewMemory returns an adapter for the sockets of local.
func NewMemory(local Local) *Memory {
	return &Memory{local: local, rooms: make(map[string]*room)}
}

// InMemory is the Factory of Memory.
func InMemory(_ string, local Local) Adapter { return NewMemory(local) }

// AddAll implements Adapter.
func (a *Memory) AddAll(m Member, rooms ...string) {
	a.addAll(m, rooms)
	if a.watch != nil {
		a.tell()
	}
}

func (a *Memory) addAll(m Member, rooms []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seat := m.Seat()
	if seat.left {
		return
	}
	if len(seat.places) == 0 {
		seat.places = seat.inline[:0]
		a.all.add(m, seat)
	}
	for _, name := range rooms {
		if seat.find(name) >= 0 {
			continue
		}
		r := a.rooms[name]
		if r == nil {
			r = &room{name: name}
			a.rooms[name] = r
		}
		r.add(m, seat)
		a.note(m, r, false)
	}
}

// find returns the index of a room among the places. The first place is that
// in the list of all members, which has no name of its own.
func (s *Seat) find(name string) int {
	for i := 1; i < len(s.places); i++ {
		if s.places[i].room.name == name {
			return i
		}
	}
	return -1
}

func (r *room) add(m Member, seat *Seat) {
	seat.places = append(seat.places, place{r, len(r.members)})
	r.members = append(r.members, seated{m, seat, len(seat.places) - 1})
}

// drop removes the member in the seat from the room of its i-th place.
func (s *Seat) drop(i int) *room {
	p := s.places[i]
	last := len(p.room.members) - 1
	if p.at != last {
		moved := p.room.members[last]
		p.room.members[p.at] = moved
		moved.seat.places[moved.at].at = p.at
	}
	p.room.members[last] = seated{}
	p.room.members = p.room.members[:last]
	p.room.shrink()

	last = len(s.places) - 1
	if i != last {
		moved := s.places[last]
		s.places[i] = moved
		moved.room.members[moved.at].at = i
	}
	s.places[last] = place{}
	s.places = s.places[:last]
	return p.room
}

// shrink gives memory back when a crowd has left.
func (r *room) shrink() {
	if cap(r.members) > 64 && len(r.members) < cap(r.members)/4 {
		r.members = append(make([]seated, 0, 2*len(r.members)), r.members...)
	}
}

// Del implements Adapter.
func (a *Memory) Del(m Member, room string) {
	a.mu.Lock()
	if i := m.Seat().find(room); i >= 0 {
		a.leave(m, i)
	}
	a.mu.Unlock()
	if a.watch != nil {
		a.tell()
	}
}

func (a *Memory) leave(m Member, i int) {
	r := m.Seat().drop(i)
	if r == &a.all {
		return
	}
	if len(r.members) == 0 {
		delete(a.rooms, r.name)
	}
	a.note(m, r, true)
}

// DelAll implements Adapter.
func (a *Memory) DelAll(m Member) {
	a.delAll(m)
	if a.watch != nil {
		a.tell()
	}
}

func (a *Memory) delAll(m Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seat := m.Seat()
	for i := len(seat.places) - 1; i >= 0; i-- {
		a.leave(m, i)
	}
	seat.places, seat.left = nil, true
}

// gone reports whether DelAll was called.
func (a *Memory) gone(m Member) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return m.Seat().left
}

// lists are borrowed for the choice of receivers, so that a broadcast
// allocates nothing for each of them.
var lists = sync.Pool{New: func() any { return new([]Member) }}

func takeList() *[]Member { return lists.Get().(*[]Member) }

func giveList(list *[]Member) {
	clear(*list)
	if cap(*list) > 1<<16 {
		return // not worth keeping
	}
	*list = (*list)[:0]
	lists.Put(list)
}

// Broadcast implements Adapter.
func (a *Memory) Broadcast(p *packet.Packet, o Options) {
	list := takeList()
	*list = a.choose(*list, o)
	a.local.Deliver(*list, p, o.Flags)
	giveList(list)
}

// choose appends the members that the options choose, each once.
func (a *Memory) choose(dst []Member, o Options) []Member {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(o.Rooms) == 0 && len(o.Except) == 0:
		return a.all.appendTo(dst)
	case len(o.Rooms) == 1 && len(o.Except) == 0:
		return a.rooms[o.Rooms[0]].appendTo(dst)
	}
	a.epoch++
	for _, name := range o.Except {
		if r := a.rooms[name]; r != nil {
			for _, s := range r.members {
				s.seat.mark = a.epoch
			}
		}
	}
	if len(o.Rooms) == 0 {
		return a.unmarked(dst, &a.all)
	}
	for _, name := range o.Rooms {
		dst = a.unmarked(dst, a.rooms[name])
	}
	return dst
}

func (r *room) appendTo(dst []Member) []Member {
	if r == nil {
		return dst
	}
	dst = slices.Grow(dst, len(r.members))
	for _, s := range r.members {
		dst = append(dst, s.member)
	}
	return dst
}

func (a *Memory) unmarked(dst []Member, r *room) []Member {
	if r == nil {
		return dst
	}
	for _, s := range r.members {
		if s.seat.mark != a.epoch {
			s.seat.mark = a.epoch
			dst = append(dst, s.member)
		}
	}
	return dst
}

// BroadcastWithAck implements Adapter.
func (a *Memory) BroadcastWithAck(_ context.Context, p *packet.Packet, o Options, expect func([]string), _ func(Answer)) error {
	list := takeList()
	defer giveList(list)
	*list = a.choose(*list, o)
	ids := make([]string, len(*list))
	for i, m := range *list {
		ids[i] = m.ID()
	}
	expect(ids)
	a.local.Deliver(*list, p, o.Flags)
	return nil
}

// Sockets implements Adapter.
func (a *Memory) Sockets(o Options, yield func(Member) bool) {
	list := takeList()
	defer giveList(list)
	*list = a.choose(*list, o)
	for _, m := range *list {
		if !yield(m) {
			return
		}
	}
}

// SocketRooms implements Adapter.
func (a *Memory) SocketRooms(m Member) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	places := m.Seat().places
	if len(places) == 0 {
		return nil
	}
	rooms := make([]string, 0, len(places)-1)
	for _, p := range places[1:] {
		rooms = append(rooms, p.room.name)
	}
	return rooms
}

// Rooms implements Adapter.
func (a *Memory) Rooms() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	rooms := make(map[string]int, len(a.rooms))
	for name, r := range a.rooms {
		rooms[name] = len(r.members)
	}
	return rooms
}

// FetchSockets implements Adapter.
func (a *Memory) FetchSockets(_ context.Context, o Options) ([]SocketInfo, error) {
	var infos []SocketInfo
	a.Sockets(o, func(m Member) bool {
		infos = append(infos, a.local.Describe(m))
		return true
	})
	return infos, nil
}

// AddSockets implements Adapter.
func (a *Memory) AddSockets(o Options, rooms []string) {
	a.Sockets(o, func(m Member) bool {
		a.AddAll(m, rooms...)
		return true
	})
}

// DelSockets implements Adapter.
func (a *Memory) DelSockets(o Options, rooms []string) {
	a.Sockets(o, func(m Member) bool {
		for _, room := range rooms {
			a.Del(m, room)
		}
		return true
	})
}

// DisconnectSockets implements Adapter.
func (a *Memory) DisconnectSockets(o Options, how Closing) {
	a.Sockets(o, func(m Member) bool {
		a.local.Disconnect(m, how)
		return true
	})
}

// ServerSideEmit implements Adapter: there is no other server.
func (a *Memory) ServerSideEmit(context.Context, []packet.Value, func([]packet.Value)) error {
	return nil
}

// ServerCount implements Adapter.
func (a *Memory) ServerCount(context.Context) (int, error) { return 1, nil }

// PersistSession implements Adapter; see Recovering for one that recovers.
func (a *Memory) PersistSession(Session) error { return nil }

// RestoreSession implements Adapter.
func (a *Memory) RestoreSession(Member, string, string) (*Restored, error) { return nil, ErrNoSession }

// Close implements Adapter.
func (a *Memory) Close() error { return nil }
