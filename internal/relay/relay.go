package relay

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
)

// pattern names the namespaces that clients can make.
var pattern = regexp.MustCompile(`^/relay/[^\x00-\x1f]{1,100}$`)

// Limits bound what one client may send, in events a second.
type Limits struct {
	Rate  float64 // 0 means 2000
	Burst int     // 0 means 10,000
}

// Bounds of what a client may join.
const (
	maxRooms = 64
	maxName  = 128
)

// ownRoom stands before the names of rooms that clients give, so that they do
// not name the room of another client, which is its id.
const ownRoom = "relay:"

// relay is the namespaces under /relay/.
type relay struct {
	limits Limits

	mu       sync.Mutex
	limiters map[*realtime.Socket]*rate.Limiter
}

// Relay lets every event that a client emits in a namespace /relay/ANYTHING
// reach all other clients there, as it is, with its bytes. If the client asks
// for an acknowledgement, that is the number of receivers. Events that begin
// with $ are the relay's: $join, $leave, $to, $who.
func Relay(io *realtime.Server, l Limits) {
	if l.Rate == 0 {
		l.Rate = 2000
	}
	if l.Burst == 0 {
		l.Burst = 10_000
	}
	r := &relay{limits: l, limiters: make(map[*realtime.Socket]*rate.Limiter)}
	parent := io.OfPattern(pattern)
	parent.OnDisconnect(r.forget)
	parent.OnAny(r.event)
}

func (r *relay) forget(s *realtime.Socket, _ realtime.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.limiters, s)
}

func (r *relay) allow(s *realtime.Socket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.limiters[s]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(r.limits.Rate), r.limits.Burst)
		r.limiters[s] = l
	}
	return l.Allow()
}

func (r *relay) event(_ context.Context, e *realtime.Event) error {
	if !r.allow(e.Socket) {
		return problem.Refuse(problem.New(http.StatusTooManyRequests, "too_often", "too many events at once", "emit less often"))
	}
	if !strings.HasPrefix(e.Name(), "$") {
		return send(e, e.Socket.Broadcast(), e.Name(), e.Args())
	}
	return problem.Refuse(own(e))
}

// own handles the relay's own events.
func own(e *realtime.Event) error {
	switch e.Name() {
	case "$join":
		return join(e)
	case "$leave":
		room, err := roomOf(e)
		if err != nil {
			return err
		}
		e.Socket.Leave(ownRoom + room)
		return e.Ack.Send()
	case "$to":
		return to(e)
	case "$who":
		return who(e)
	}
	return problem.New(http.StatusNotFound, "no_event", "the relay knows no event "+e.Name(),
		"events that begin with $ are the relay's: $join, $leave, $to, $who")
}

func roomOf(e *realtime.Event) (string, error) {
	var room string
	if err := e.Scan(&room); err != nil {
		return "", err
	}
	return room, checkRoom(room)
}

func checkRoom(room string) error {
	if room == "" || len(room) > maxName || !utf8.ValidString(room) {
		return problem.New(http.StatusBadRequest, "bad_room", "the name of the room is empty or too long", `emit("$join", "blue")`)
	}
	return nil
}

func join(e *realtime.Event) error {
	room, err := roomOf(e)
	if err != nil {
		return err
	}
	if len(e.Socket.Rooms()) > maxRooms {
		return problem.New(http.StatusTooManyRequests, "too_many_rooms", "you are in too many rooms", "leave some")
	}
	e.Socket.Join(ownRoom + room)
	return e.Ack.Send()
}

// to sends an event to a room: ("$to", room, event, ...args), or the same in
// one array.
func to(e *realtime.Event) error {
	args := e.Args()
	var packed []realtime.Value
	if len(args) == 1 && args[0].Decode(&packed) == nil {
		args = packed
	}
	var room, event string
	if err := args.Scan(&room, &event); err != nil {
		return err
	}
	if len(args) < 2 || event == "" || strings.HasPrefix(event, "$") {
		return problem.New(http.StatusBadRequest, "bad_event", "a room and an event are needed", `emit("$to", "blue", "draw", 1, 2)`)
	}
	if err := checkRoom(room); err != nil {
		return err
	}
	return send(e, e.Socket.To(ownRoom+room), event, args[2:])
}

// send passes an event on, and acknowledges with the number of receivers.
func send(e *realtime.Event, to realtime.BroadcastOperator, event string, args realtime.Args) error {
	receivers := 0
	if e.Ack.Wanted() {
		for range to.Sockets() {
			receivers++
		}
	}
	if err := to.Emit(event, args.Any()...); err != nil {
		return problem.Refuse(problem.New(http.StatusBadRequest, "bad_event", err.Error(), "choose another name"))
	}
	return e.Ack.Send(receivers)
}

// who acknowledges with the ids of all who are here, or in a room.
func who(e *realtime.Event) error {
	all := e.Socket.Namespace().BroadcastOperator
	if e.Len() > 0 {
		room, err := roomOf(e)
		if err != nil {
			return err
		}
		all = all.To(ownRoom + room)
	}
	ids := []string{}
	for s := range all.Sockets() {
		ids = append(ids, s.ID())
	}
	slices.Sort(ids)
	return e.Ack.Send(ids)
}
