package chat

import (
	"slices"
	"sync"

	"server22.local/appliance/realtime"
)

// room is one with people in it.
type room struct {
	name   string
	guests int // that have it among their rooms; guarded by Chat.mu

	mu      sync.Mutex
	members map[*realtime.Socket]string // nick
	count   map[string]int              // sockets by nick
}

func newRoom(name string) *room {
	return &room{name: name, members: make(map[*realtime.Socket]string), count: make(map[string]int)}
}

// enter puts a socket into the room under a name. Those who are there are told
// of names that come and go while the lock is held, so that they are told in
// the order in which it happened.
func (r *room) enter(s *realtime.Socket, nick string, tell func(presence)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.members[s]; ok {
		if before == nick {
			return
		}
		r.remove(s, tell)
	}
	r.members[s] = nick
	if r.count[nick]++; r.count[nick] == 1 {
		tell(presence{r.name, nick, true})
	}
}

// exit takes a socket out.
func (r *room) exit(s *realtime.Socket, tell func(presence)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.members[s]; ok {
		r.remove(s, tell)
	}
}

func (r *room) remove(s *realtime.Socket, tell func(presence)) {
	nick := r.members[s]
	delete(r.members, s)
	if r.count[nick]--; r.count[nick] == 0 {
		delete(r.count, nick)
		tell(presence{r.name, nick, false})
	}
}

// names returns who is there, in order.
func (r *room) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.count))
	for nick := range r.count {
		names = append(names, nick)
	}
	slices.Sort(names)
	return names
}

// size returns the number of sockets.
func (r *room) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// called returns the sockets of a name.
func (r *room) called(nick string) []*realtime.Socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*realtime.Socket
	for s, name := range r.members {
		if fold(name) == fold(nick) {
			found = append(found, s)
		}
	}
	return found
}
