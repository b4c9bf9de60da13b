package chat

import (
	"slices"
	"sync"

	"server22.local/appliance/realtime"
)

// room is one with people in it.
type room struct {
	name string

	mu      sync.Mutex
	members map[*realtime.Socket]string // nick
	count   map[string]int              // sockets by nick
}

func newRoom(name string) *room {
	return &room{name: name, members: make(map[*realtime.Socket]string), count: make(map[string]int)}
}

// enter puts a socket into the room under a name. It returns the name that it
// had there before, and whether the new name is new in the room.
func (r *room) enter(s *realtime.Socket, nick string) (left string, came bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.members[s]; ok {
		if before == nick {
			return "", false
		}
		left, _ = r.remove(s)
	}
	r.members[s] = nick
	r.count[nick]++
	return left, r.count[nick] == 1
}

// exit takes a socket out. It returns its name there, and whether nobody else
// in the room has that.
func (r *room) exit(s *realtime.Socket) (nick string, left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	nick, ok := r.members[s]
	if !ok {
		return "", false
	}
	gone, _ := r.remove(s)
	return nick, gone != ""
}

// remove returns the socket's name if nobody has it any more.
func (r *room) remove(s *realtime.Socket) (gone string, ok bool) {
	nick := r.members[s]
	delete(r.members, s)
	if r.count[nick]--; r.count[nick] > 0 {
		return "", false
	}
	delete(r.count, nick)
	return nick, true
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
