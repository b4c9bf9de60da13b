package recovery

import (
	"encoding/json"
	"slices"
	"time"

	"server22.local/appliance/realtime/packet"
)

// Log keeps packets and sessions of one namespace. Its methods are safe for
// concurrent use. Append is called in the order in which packets are
// delivered; it is on the path of every broadcast and should not wait for a
// disk.
type Log interface {
	// Append keeps a packet and returns its offset: a string that names it
	// and that no other packet ever gets; "" with an error.
	Append(e Entry) (offset string, err error)
	// Offset returns the offset of the last packet, or one that stands
	// before all packets to come.
	Offset() string
	// Since returns the packets after an offset, oldest first. It returns
	// false if the offset is unknown or packets after it are gone.
	Since(offset string) ([]Entry, bool)

	// SaveSession keeps a session until TakeSession has returned it, or its
	// time is over.
	SaveSession(s Session) error
	// TakeSession returns and removes the session of a private id, or false.
	TakeSession(pid string) (Session, bool)
	// Until returns when the last of the sessions is over that TakeSession
	// would return; the zero time if there is none.
	Until() time.Time
	// Live reports whether sessions of connected sockets are to be saved as
	// well, whenever their rooms change, because the log outlives a crash of
	// the process.
	Live() bool
}

// Entry is a packet and whom it was for.
type Entry struct {
	Offset string
	Packet *packet.Packet
	Rooms  []string // none means all
	Except []string
	Time   time.Time
}

// For reports whether a session with these rooms should have received it.
func (e *Entry) For(rooms []string) bool {
	for _, room := range e.Except {
		if slices.Contains(rooms, room) {
			return false
		}
	}
	return len(e.Rooms) == 0 || slices.ContainsFunc(e.Rooms, func(room string) bool { return slices.Contains(rooms, room) })
}

// Session is what is kept of a socket whose connection was lost.
type Session struct {
	ID    string                     `json:"sid"`
	PID   string                     `json:"pid"` // private: whoever knows it can take the session over
	Rooms []string                   `json:"rooms"`
	Data  map[string]json.RawMessage `json:"data"`
	// Values are the data as the program knows them, in the process that has
	// saved the session.
	Values map[string]any `json:"-"`
	// Start is the offset of the namespace when the socket connected: where
	// recovery begins for a client that has not received anything.
	Start string `json:"start"`
	// Ended is when the connection was lost; zero for one that is connected.
	Ended time.Time `json:"ended"`
}
