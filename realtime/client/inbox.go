package client

import (
	"context"
	"sync"

	"server22.local/appliance/realtime/packet"
)

// maxSpare is the longest list that is kept for reuse after a burst.
const maxSpare = 1024

// inbox runs the handlers of a socket, in order and one at a time, in a
// goroutine that exists while there is something to do.
type inbox struct {
	socket *Socket

	mu      sync.Mutex // guards all following fields
	waiting []delivery
	bytes   int
	working bool
}

// delivery is an event, or a change of the connection.
type delivery struct {
	packet  *packet.Packet
	session *session // on which the packet came
	size    int
	run     func(ctx context.Context) // if there is no packet
}

func sizeOf(packets ...*packet.Packet) int {
	n := 0
	for _, p := range packets {
		n += p.Size()
	}
	return n
}

// fits tells whether size more bytes may wait. One event always may.
func (in *inbox) fits(size int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bytes == 0 || in.bytes+size <= in.socket.client.opts.Inbox
}

func (in *inbox) push(d delivery) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.waiting = append(in.waiting, d)
	in.bytes += d.size
	if !in.working {
		in.working = in.socket.client.task(in.work)
	}
}

func (in *inbox) work() {
	var batch []delivery
	for {
		if batch = in.take(batch); len(batch) == 0 {
			return
		}
		for _, d := range batch {
			in.socket.handle(d)
			in.mu.Lock()
			in.bytes -= d.size
			in.mu.Unlock()
		}
	}
}

// take returns everything that waits, reusing spare for what comes next.
func (in *inbox) take(spare []delivery) []delivery {
	in.mu.Lock()
	defer in.mu.Unlock()
	batch := in.waiting
	clear(spare)
	in.waiting = nil
	if cap(spare) <= maxSpare {
		in.waiting = spare[:0]
	}
	in.working = len(batch) > 0
	return batch
}

func (s *Socket) handle(d delivery) {
	ctx := s.client.running().handling
	switch {
	case d.run != nil:
		d.run(ctx)
	case ctx.Err() == nil: // events that still wait when the client closes are dropped
		s.handleEvent(ctx, d)
	}
}
