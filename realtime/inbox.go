package realtime

import (
	"sync"

	"server22.local/appliance/realtime/packet"
)

// job is what happens to a socket in order: a packet, or a call.
type job struct {
	packet *packet.Packet
	run    func()
}

// inbox keeps what has yet to happen to one socket. One goroutine at a time
// works it off; it ends when nothing is left, so that idle sockets have none.
type inbox struct {
	mu      sync.Mutex // guards all following
	jobs    []job
	spare   []job
	bytes   int // that the packets in jobs take
	working bool
	closed  bool          // takes no more packets
	asked   int           // how many answers of the client are awaited
	room    chan struct{} // closed when a full inbox may have room
	overrun chan struct{} // closed when it is full though answers are awaited
}

const (
	// backlogBytes bounds the memory that the packets of one inbox take,
	// whatever their number. A single larger one still passes when nothing
	// else waits.
	backlogBytes = 1 << 20
	// jobBytes is what a packet takes beside its arguments, about.
	jobBytes = 256
)

// full says whether a packet has to wait; mu is held. While an answer is
// awaited, which may come behind it, that is as late as possible.
func (b *inbox) full(backlog, size int) bool {
	return b.asked == 0 && len(b.jobs) >= backlog || b.bytes > 0 && b.bytes+size > backlogBytes
}

// await has more read than usual until done is called, since an answer of the
// client comes behind what it has said before. overrun is closed if that is too
// much to be read.
func (b *inbox) await() (overrun <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.overrun == nil {
		b.overrun = make(chan struct{})
	}
	b.release()
	return b.overrun
}

func (b *inbox) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked--
}

// put appends a job and says whether somebody must be found to work. If too
// many packets wait, it blocks until they are fewer or the connection has
// ended.
func (b *inbox) put(s *Socket, j job) (start bool) {
	size := 0
	if j.packet != nil {
		size = jobBytes + j.packet.Size()
	}
	b.mu.Lock()
	for j.packet != nil && b.full(s.server().o.Backlog, size) && !b.closed {
		if !b.wait(s) {
			return false
		}
	}
	defer b.mu.Unlock()
	if b.closed && j.packet != nil {
		return false
	}
	if b.jobs == nil {
		b.jobs, b.spare = b.spare, nil
	}
	b.jobs = append(b.jobs, j)
	b.bytes += size
	start = !b.working
	b.working = true
	return start
}

// worker is a socket as the one that works off its inbox.
type worker Socket

// Work implements engineio.Worker.
func (w *worker) Work() { (*Socket)(w).inbox.work((*Socket)(w)) }

// arrived puts what a message has caused into the inbox, on the goroutine that
// delivers messages, which does the work if it can be done at once.
func (s *Socket) arrived(j job) {
	if s.inbox.put(s, j) {
		s.conn.link.Work((*worker)(s))
	}
}

// later puts what has yet to happen into the inbox, on any goroutine.
func (s *Socket) later(j job) {
	if s.inbox.put(s, j) {
		s.server().workers.Work((*worker)(s))
	}
}

// wait returns with mu held, or false without it if the connection has ended.
// Who awaits an answer is told that it cannot be read before there is room.
func (b *inbox) wait(s *Socket) bool {
	if b.asked > 0 && b.overrun != nil {
		close(b.overrun)
		b.overrun = nil
	}
	if b.room == nil {
		b.room = make(chan struct{})
	}
	room := b.room
	b.mu.Unlock()
	select {
	case <-room:
		b.mu.Lock()
		return true
	case <-s.conn.link.Done():
		return false
	}
}

// close drops the packets that wait, and those to come.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	kept := b.jobs[:0]
	for _, j := range b.jobs {
		if j.packet == nil {
			kept = append(kept, j)
		}
	}
	clear(b.jobs[len(kept):])
	b.jobs = kept
	b.release()
}

func (b *inbox) release() {
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
}

func (b *inbox) work(s *Socket) {
	s.conn.link.Cork() // what handlers emit to their own socket leaves together
	defer s.conn.link.Uncork()
	for {
		jobs := b.take()
		if jobs == nil {
			return
		}
		for i, j := range jobs {
			jobs[i] = job{}
			if j.run != nil {
				s.call("callback", j.run)
			} else if !b.dropped() {
				s.handle(j.packet)
			}
		}
		b.mu.Lock()
		if cap(jobs) <= 4 {
			b.spare = jobs[:0]
		}
		b.mu.Unlock()
	}
}

func (b *inbox) dropped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// take returns all jobs, or nil when there are none and the work has ended.
func (b *inbox) take() []job {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.jobs) == 0 {
		b.working = false
		b.jobs = nil
		return nil
	}
	jobs := b.jobs
	b.jobs, b.spare, b.bytes = b.spare, nil, 0
	b.release()
	return jobs
}
