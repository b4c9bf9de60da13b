package bus

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/history"
)

// roomPrefix stands before a filter's text in the name of the room in which a
// namespace has the filter's subscribers.
const roomPrefix = "bus:"

// Limits say how much one client may publish, in messages a second.
type Limits struct {
	Rate  float64 // 0 means 2000
	Burst int     // 0 means 10,000
}

func (l Limits) withDefaults() Limits {
	if l.Rate == 0 {
		l.Rate = 2000
	}
	setDefault(&l.Burst, 10_000)
	return l
}

// hub is a namespace that speaks the bus's verbs.
type hub struct {
	bus    *Bus
	ns     *realtime.Namespace
	limits Limits

	filters map[*realtime.Socket]map[string]*filter // guarded by bus.mu

	mu       sync.Mutex
	limiters map[*realtime.Socket]*rate.Limiter
}

// Serve puts the bus's verbs on a namespace: subscribe, unsubscribe, publish,
// get, clear, topics, history. It is called before the server serves.
func (b *Bus) Serve(ns *realtime.Namespace, limits Limits) {
	h := &hub{
		bus: b, ns: ns, limits: limits.withDefaults(),
		filters:  make(map[*realtime.Socket]map[string]*filter),
		limiters: make(map[*realtime.Socket]*rate.Limiter),
	}
	b.mu.Lock()
	b.hubs = append(b.hubs, h)
	b.mu.Unlock()
	ns.OnConnect(h.connected)
	ns.OnDisconnect(h.disconnected)
	handle(ns, "subscribe", h.subscribe)
	handle(ns, "unsubscribe", h.unsubscribe)
	handle(ns, "get", h.get)
	handle(ns, "clear", h.clear)
	handle(ns, "topics", h.topics)
	handle(ns, "history", h.history)
	realtime.OnAck(ns, "publish", h.publish)
}

// handle is realtime.Handle for what refuses with problems.
func handle[A, R any](ns *realtime.Namespace, event string, fn func(context.Context, *realtime.Socket, A) (R, error)) {
	realtime.Handle(ns, event, func(ctx context.Context, s *realtime.Socket, a A) (R, error) {
		r, err := fn(ctx, s, a)
		return r, problem.Refuse(err)
	})
}

// deliver emits to the sockets that have one of the filters. bus.mu is held.
func (h *hub) deliver(filters []*filter, m *Message) {
	var rooms []string
	for _, f := range filters {
		if f.sockets[h] > 0 {
			rooms = append(rooms, f.room)
		}
	}
	if len(rooms) == 0 {
		return
	}
	to := h.ns.To(rooms...)
	if m.Volatile {
		to = to.Volatile()
	}
	if err := to.Emit("message", m.Argument()); err != nil {
		h.bus.cfg.Logger.Error("emitting a message", "nsp", h.ns.Name(), "topic", m.Topic, "err", err)
	}
}

// connected finds the subscriptions of a socket that goes on with an earlier
// session: it is in their rooms again.
func (h *hub) connected(s *realtime.Socket) {
	if !s.Recovered() {
		return
	}
	h.bus.mu.Lock()
	defer h.bus.mu.Unlock()
	for _, room := range s.Rooms() {
		if text, ok := strings.CutPrefix(room, roomPrefix); ok {
			h.add(s, text)
		}
	}
}

func (h *hub) disconnected(s *realtime.Socket, _ realtime.Reason) {
	h.bus.mu.Lock()
	for text := range h.filters[s] {
		h.remove(s, text)
	}
	h.bus.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.limiters, s)
}

// add subscribes a socket; bus.mu is held.
func (h *hub) add(s *realtime.Socket, text string) {
	if h.filters[s][text] != nil {
		return
	}
	if h.filters[s] == nil {
		h.filters[s] = make(map[string]*filter)
	}
	f := h.bus.tree.get(text)
	h.filters[s][text] = f
	f.sockets[h]++
	s.Join(f.room)
}

// remove takes a subscription back; bus.mu is held.
func (h *hub) remove(s *realtime.Socket, text string) {
	f := h.filters[s][text]
	if f == nil {
		return
	}
	s.Leave(f.room)
	delete(h.filters[s], text)
	if len(h.filters[s]) == 0 {
		delete(h.filters, s)
	}
	if f.sockets[h]--; f.sockets[h] == 0 {
		delete(f.sockets, h)
	}
	if f.unused() {
		h.bus.tree.remove(f)
	}
}

// names is a list of topics; one alone may stand for itself.
type names []string

func (n *names) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var one string
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		*n = names{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(n))
}

type subscription struct {
	Topics names         `json:"topics"`
	Since  history.Since `json:"since"`
}

type subscribed struct {
	Retained []any `json:"retained"`
}

// socketMost bounds what a socket is sent of the past: it goes into the queue
// of the connection all at once.
var socketMost = page{limit: 1000, bytes: 128 << 10}

func (h *hub) subscribe(ctx context.Context, s *realtime.Socket, q subscription) (subscribed, error) {
	h.bus.mu.Lock()
	have := len(h.filters[s])
	h.bus.mu.Unlock()
	if err := checkFilters(q.Topics, have); err != nil {
		return subscribed{}, err
	}
	answer := subscribed{Retained: []any{}}
	err := h.bus.begin(ctx, q.Topics, q.Since, socketMost, func(retained, missed []*Message) {
		emitted := make(map[uint64]bool, len(missed))
		for _, m := range missed {
			emitted[m.Seq] = true
			_ = s.Emit("message", m.Argument()) // it may be gone already
		}
		for _, m := range retained {
			if !emitted[m.Seq] {
				answer.Retained = append(answer.Retained, m.Argument())
			}
		}
		for _, text := range q.Topics {
			h.add(s, text)
		}
	})
	return answer, err
}

func (h *hub) unsubscribe(_ context.Context, s *realtime.Socket, q subscription) (struct{}, error) {
	h.bus.mu.Lock()
	defer h.bus.mu.Unlock()
	for _, text := range q.Topics {
		h.remove(s, text)
	}
	return struct{}{}, nil
}

type topicQuery struct {
	Topic  string        `json:"topic"`
	Prefix string        `json:"prefix"`
	Since  history.Since `json:"since"`
	Limit  int           `json:"limit"`
}

func (h *hub) get(_ context.Context, _ *realtime.Socket, q topicQuery) (any, error) {
	m, err := h.bus.Get(q.Topic)
	if err != nil {
		return nil, err
	}
	return m.Argument(), nil
}

func (h *hub) clear(_ context.Context, _ *realtime.Socket, q topicQuery) (struct{}, error) {
	return struct{}{}, h.bus.Clear(q.Topic)
}

type topicList struct {
	Topics []TopicInfo `json:"topics"`
}

func (h *hub) topics(_ context.Context, _ *realtime.Socket, q topicQuery) (topicList, error) {
	return topicList{h.bus.Topics(q.Prefix)}, nil
}

type messageList struct {
	Messages []any `json:"messages"`
}

func (h *hub) history(ctx context.Context, _ *realtime.Socket, q topicQuery) (messageList, error) {
	found, err := h.bus.History(ctx, q.Topic, q.Since, q.Limit)
	if err != nil {
		return messageList{}, err
	}
	list := messageList{make([]any, len(found))}
	for i, m := range found {
		list.Messages[i] = m.Argument()
	}
	return list, nil
}

type publication struct {
	Topic    string         `json:"topic"`
	Data     realtime.Value `json:"data"`
	Retain   bool           `json:"retain"`
	Persist  bool           `json:"persist"`
	Volatile bool           `json:"volatile"`
}

type published struct {
	Seq   uint64 `json:"seq"`
	Time  int64  `json:"time"`
	Clock *bool  `json:"clock,omitempty"`
}

func (h *hub) publish(_ context.Context, s *realtime.Socket, p publication, ack *realtime.Ack) error {
	if !h.limiter(s).Allow() {
		return problem.Refuse(problem.New(http.StatusTooManyRequests, "too_often", "too many messages at once",
			"publish less often, or several values in one message"))
	}
	value, err := fromArgument(p.Data)
	if err != nil {
		return problem.Refuse(err)
	}
	h.bus.Publish(Publication{Topic: p.Topic, Value: value, Retain: p.Retain, Persist: p.Persist, Volatile: p.Volatile},
		func(r Receipt, err error) {
			if err != nil {
				_ = ack.Fail(problem.Refuse(err)) // it may be gone already
				return
			}
			_ = ack.Send(published{r.Seq, r.Time.UnixMilli(), clock(r.ClockUnset)})
		})
	return nil
}

// fromArgument says what an argument of an event means.
func fromArgument(v realtime.Value) (Value, error) {
	if b, ok := v.Bytes(); ok {
		return Value{Bytes: slices.Clone(b)}, nil
	}
	if v.HasBinary() {
		return Value{}, problem.New(http.StatusBadRequest, "bytes_inside", "there are bytes inside the value",
			"a value is either JSON or bytes: publish the bytes alone")
	}
	return ParseValue(v.JSON()), nil
}

func (h *hub) limiter(s *realtime.Socket) *rate.Limiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.limiters[s]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(h.limits.Rate), h.limits.Burst)
		h.limiters[s] = l
	}
	return l
}
