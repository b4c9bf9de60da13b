package relay

import (
	"context"
	"sync"
	"unicode/utf8"

	"server22.local/appliance/realtime"
)

// Bounds of what the examples' clients send.
const (
	maxUsername = 64
	maxText     = 16_384
)

// example is the server of Socket.IO's chat example
// (examples/chat in socketio/socket.io).
type example struct {
	ns *realtime.Namespace

	mu    sync.Mutex
	users map[*realtime.Socket]string
}

type users struct {
	Count int `json:"numUsers"`
}

type userCame struct {
	Username string `json:"username"`
	Count    int    `json:"numUsers"`
}

type userSays struct {
	Username string `json:"username"`
	Message  string `json:"message"`
}

type user struct {
	Username string `json:"username"`
}

// Example puts the events of the chat example on a namespace: add user, new
// message, typing, stop typing; login, user joined, user left.
func Example(ns *realtime.Namespace) {
	x := &example{ns: ns, users: make(map[*realtime.Socket]string)}
	realtime.On(ns, "add user", x.add)
	realtime.On(ns, "new message", x.message)
	realtime.On0(ns, "typing", x.tell("typing"))
	realtime.On0(ns, "stop typing", x.tell("stop typing"))
	ns.OnDisconnect(x.left)
}

func (x *example) add(_ context.Context, s *realtime.Socket, name string) error {
	if name == "" || utf8.RuneCountInString(name) > maxUsername {
		return realtime.Refuse("the name is empty or too long", nil)
	}
	x.mu.Lock()
	_, known := x.users[s]
	if !known {
		x.users[s] = name
	}
	n := len(x.users)
	x.mu.Unlock()
	if known {
		return nil
	}
	_ = s.Emit("login", users{n}) // it may be gone already
	return s.Broadcast().Emit("user joined", userCame{name, n})
}

func (x *example) name(s *realtime.Socket) (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	name, ok := x.users[s]
	return name, ok
}

func (x *example) message(_ context.Context, s *realtime.Socket, text string) error {
	name, ok := x.name(s)
	if !ok || len(text) > maxText {
		return realtime.Refuse("emit add user first, and no more than 16 KB at once", nil)
	}
	return s.Broadcast().Emit("new message", userSays{name, text})
}

func (x *example) tell(event string) func(context.Context, *realtime.Socket) error {
	return func(_ context.Context, s *realtime.Socket) error {
		name, ok := x.name(s)
		if !ok {
			return nil
		}
		return s.Broadcast().Emit(event, user{name})
	}
}

func (x *example) left(s *realtime.Socket, _ realtime.Reason) {
	x.mu.Lock()
	name, known := x.users[s]
	delete(x.users, s)
	n := len(x.users)
	x.mu.Unlock()
	if known {
		_ = s.Broadcast().Emit("user left", userCame{name, n}) // a name and a number can be encoded
	}
}
