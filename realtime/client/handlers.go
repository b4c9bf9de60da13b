package client

import (
	"context"
	"slices"
	"sync"

	"server22.local/appliance/realtime/packet"
)

// handlers of a socket. They are called without the lock, one at a time, by
// the socket's inbox; those for what goes out by whoever emits. What adds one
// returns what takes it out again.
type handlers struct {
	mu           sync.Mutex // guards all following fields
	events       map[string][]*handler
	any          []*func(ctx context.Context, e *Event) error
	outgoing     []*func(s *Socket, event string, args Args)
	connected    []*func(ctx context.Context, s *Socket)
	disconnected []*func(s *Socket, why Reason)
	refused      []*func(s *Socket, err error)
	failed       []*func(s *Socket, event string, err error)
}

// handler has an address of its own, so that it can be removed.
type handler struct {
	call func(ctx context.Context, e *Event) error
}

// add appends to a list, and returns what takes f out again. Lists are not
// changed in place, as they may be in use.
func add[F any](mu *sync.Mutex, list *[]*F, f F) (remove func()) {
	added := &f
	mu.Lock()
	defer mu.Unlock()
	*list = append(slices.Clip(*list), added)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		*list = slices.DeleteFunc(slices.Clone(*list), func(other *F) bool { return other == added })
	}
}

func list[F any](mu *sync.Mutex, list *[]*F) []*F {
	mu.Lock()
	defer mu.Unlock()
	return *list
}

// OnConnect adds a function that is called each time the socket was connected,
// before the first event of the new connection is handled, until remove is
// called.
func (s *Socket) OnConnect(f func(ctx context.Context, s *Socket)) (remove func()) {
	return add(&s.handlers.mu, &s.handlers.connected, f)
}

// OnDisconnect adds a function that is called each time the socket, having
// been connected, is so no longer, until remove is called. For all reasons but
// [ReasonServerDisconnect] and [ReasonClientDisconnect] it will be connected
// again by itself.
func (s *Socket) OnDisconnect(f func(s *Socket, why Reason)) (remove func()) {
	return add(&s.handlers.mu, &s.handlers.disconnected, f)
}

// OnConnectError adds a function that is called when the socket could not be
// connected, until remove is called. After a [*Refusal] the socket is no longer
// active, and [Socket.Connect] tries again; after anything else it is tried
// again by itself.
func (s *Socket) OnConnectError(f func(s *Socket, err error)) (remove func()) {
	return add(&s.handlers.mu, &s.handlers.refused, f)
}

// OnError adds a function that is called when a handler returned an error,
// when the arguments of an event are not what its handler takes
// ([*ArgumentError]), and when an emitted event could not be sent after all:
// too large, or not acknowledged with all retries. Without one, such errors
// are logged. remove takes it out again.
func (s *Socket) OnError(f func(s *Socket, event string, err error)) (remove func()) {
	return add(&s.handlers.mu, &s.handlers.failed, f)
}

// OnAny adds a function that is called for every event that comes, before its
// handlers, until remove is called. What it returns is treated like the error
// of a handler.
func (s *Socket) OnAny(f func(ctx context.Context, e *Event) error) (remove func()) {
	return add(&s.handlers.mu, &s.handlers.any, f)
}

// OnAnyOutgoing adds a function that is called for every event that is
// emitted, by the emitting goroutine, before it is sent or kept for later,
// until remove is called.
func (s *Socket) OnAnyOutgoing(f func(s *Socket, event string, args Args)) (remove func()) {
	return add(&s.handlers.mu, &s.handlers.outgoing, f)
}

// Off removes all handlers of an event.
func (s *Socket) Off(event string) {
	s.handlers.mu.Lock()
	defer s.handlers.mu.Unlock()
	delete(s.handlers.events, event)
}

// on adds a handler and returns what removes it.
func (s *Socket) on(event string, call func(ctx context.Context, e *Event) error) (remove func()) {
	h := &s.handlers
	added := &handler{call}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.events == nil {
		h.events = map[string][]*handler{}
	}
	h.events[event] = append(slices.Clip(h.events[event]), added)
	return func() { h.remove(event, added) }
}

func (h *handlers) remove(event string, removed *handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(h.events[event]), func(other *handler) bool { return other == removed })
	if h.events[event] = left; len(left) == 0 {
		delete(h.events, event)
	}
}

func (h *handlers) of(event string) []*handler {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events[event]
}

// handleEvent calls every handler in the order in which they were added. An
// error is reported, and told to a server that waits for an acknowledgement.
func (s *Socket) handleEvent(ctx context.Context, d delivery) {
	e := &Event{Socket: s, packet: d.packet}
	e.Ack = Ack{socket: s, session: d.session, id: d.packet.ID, wanted: d.packet.HasID}
	event := e.Name()
	for _, f := range list(&s.handlers.mu, &s.handlers.any) {
		s.check(e, event, (*f)(ctx, e))
	}
	for _, h := range s.handlers.of(event) {
		s.check(e, event, h.call(ctx, e))
	}
}

func (s *Socket) check(e *Event, event string, err error) {
	if err == nil {
		return
	}
	s.report(event, err)
	if err := e.Ack.Fail(err); err != nil {
		s.report(event, err)
	}
}

func (s *Socket) handleConnect(ctx context.Context) {
	for _, f := range list(&s.handlers.mu, &s.handlers.connected) {
		(*f)(ctx, s)
	}
}

func (s *Socket) handleDisconnect(why Reason) {
	for _, f := range list(&s.handlers.mu, &s.handlers.disconnected) {
		(*f)(s, why)
	}
}

func (s *Socket) handleConnectError(err error) {
	for _, f := range list(&s.handlers.mu, &s.handlers.refused) {
		(*f)(s, err)
	}
}

func (s *Socket) emitting(p *packet.Packet) {
	for _, f := range list(&s.handlers.mu, &s.handlers.outgoing) {
		(*f)(s, p.Name(), p.Values())
	}
}

func (s *Socket) report(event string, err error) {
	hooks := list(&s.handlers.mu, &s.handlers.failed)
	if len(hooks) == 0 {
		s.client.opts.Logger.Warn("client: an event failed", "nsp", s.namespace, "event", event, "err", err)
	}
	for _, f := range hooks {
		(*f)(s, event, err)
	}
}

// reportLater reports in the order of what the socket handles, from where its
// lock may be held.
func (s *Socket) reportLater(event string, err error) {
	s.inbox.push(delivery{run: func(context.Context) { s.report(event, err) }})
}
