package realtime

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
)

// asks are the broadcasts of a namespace whose acknowledgements are awaited.
// All ids of a namespace come from one counter, so that one id means the same
// to all sockets.
type asks struct {
	next atomic.Uint64

	mu   sync.Mutex // guards all following
	open map[uint64]*asking
}

// asking is one such broadcast.
type asking struct {
	mu      sync.Mutex // guards all following
	missing map[string]bool
	ready   []named
	wake    chan struct{} // has a value if something changed
}

type named struct {
	id string
	answered
}

func (a *asks) id() uint64 { return a.next.Add(1) - 1 }

func (a *asks) begin(p *packet.Packet) *asking {
	p.ID, p.HasID = a.id(), true
	one := &asking{missing: make(map[string]bool), wake: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = make(map[uint64]*asking)
	}
	a.open[p.ID] = one
	return one
}

func (a *asks) end(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, id)
}

// settle says what became of one receiver of the broadcast with an id: its
// answer, or why there will be none.
func (a *asks) settle(id uint64, socket string, result answered) {
	a.mu.Lock()
	one := a.open[id]
	a.mu.Unlock()
	if one != nil {
		one.settle(socket, result)
	}
}

// gone tells all that wait that a socket will not answer.
func (a *asks) gone(socket string) {
	a.mu.Lock()
	open := make([]*asking, 0, len(a.open))
	for _, one := range a.open {
		open = append(open, one)
	}
	a.mu.Unlock()
	for _, one := range open {
		one.settle(socket, answered{err: ErrDisconnected})
	}
}

// forward passes on to another server's asking what becomes of local sockets.
// The other server has its own ids: here the event has one of ours.
func (a *asks) forward(members []adapter.Member, answer func(adapter.Answer)) (id uint64, stop func()) {
	id = a.id()
	for _, m := range members {
		s := m.(*Socket)
		tell := func(values []Value, err error) {
			answer(adapter.Answer{ID: s.id, Args: values, Lost: lossOf(err)})
		}
		if !s.expect(id, tell) {
			tell(nil, ErrDisconnected)
		}
	}
	return id, func() {
		for _, m := range members {
			m.(*Socket).forget(id)
		}
	}
}

// lossOf is an error as other servers are told it.
func lossOf(err error) adapter.Loss {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrDropped):
		return adapter.LostDropped
	default:
		return adapter.LostDisconnected
	}
}

// errorOf is lossOf the other way round.
func errorOf(l adapter.Loss) error {
	switch l {
	case "":
		return nil
	case adapter.LostDropped:
		return ErrDropped
	default:
		return ErrDisconnected
	}
}

func (a *asking) expect(ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.missing[id] = true
	}
}

func (a *asking) answer(of adapter.Answer) {
	a.settle(of.ID, answered{values: of.Args, err: errorOf(of.Lost)})
}

func (a *asking) settle(socket string, result answered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.missing[socket] {
		return
	}
	delete(a.missing, socket)
	a.ready = append(a.ready, named{socket, result})
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns what has come, and whether more may.
func (a *asking) take() (ready []named, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ready, a.ready = a.ready, nil
	return ready, len(a.missing) > 0
}

// collect yields the results as they come, until there is one of everybody.
func (a *asking) collect(ctx context.Context, yield func(string, answered) bool) {
	for {
		ready, more := a.take()
		for _, r := range ready {
			if !yield(r.id, r.answered) {
				return
			}
		}
		if len(ready) > 0 {
			continue
		}
		if !more {
			return
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			a.giveUp(context.Cause(ctx)) // and yield that
		}
	}
}

// giveUp settles all who have not answered.
func (a *asking) giveUp(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.missing {
		a.ready = append(a.ready, named{id, answered{err: err}})
	}
	clear(a.missing)
}
