package realtime

import "sync"

// maxIdleWorkers is how many goroutines wait for the next inbox.
const maxIdleWorkers = 32

// workers are the goroutines that work off inboxes. A few are kept for the
// next one, with the stacks that they have grown: making a goroutine for each
// event costs more than most handlers. None is kept when no socket is left.
type workers struct {
	mu      sync.Mutex // guards all following
	idle    []chan *Socket
	sockets int
}

// work has a goroutine work off the inbox of a socket.
func (w *workers) work(s *Socket) {
	w.mu.Lock()
	n := len(w.idle)
	if n == 0 {
		w.mu.Unlock()
		go w.run(s)
		return
	}
	next := w.idle[n-1] // the one whose stack is still in the cache
	w.idle = w.idle[:n-1]
	w.mu.Unlock()
	next <- s
}

func (w *workers) run(s *Socket) {
	next := make(chan *Socket, 1)
	for s != nil {
		s.inbox.work(s)
		if !w.wait(next) {
			return
		}
		s = <-next
	}
}

// wait lists a worker as idle; false tells it to end.
func (w *workers) wait(next chan *Socket) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sockets == 0 || len(w.idle) == maxIdleWorkers {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// enter and leave count the sockets for which workers are kept.
func (w *workers) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets++
}

func (w *workers) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets--
	if w.sockets > 0 {
		return
	}
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
}
