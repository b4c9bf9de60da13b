package bus

import (
	"context"
	"errors"
	"sync"

	"server22.local/appliance/realtime/history"
)

// ErrSlow ends a stream whose reader is too far behind.
var ErrSlow = errors.New("too slow: what waits to be read takes too much memory")

// ErrStreamClosed is returned by Next once the stream is closed.
var ErrStreamClosed = errors.New("the stream is closed")

// Stream receives messages for one reader in this process.
type Stream struct {
	bus   *Bus
	limit int

	filters map[string]*filter // guarded by bus.mu

	mu    sync.Mutex
	queue []*Message
	bytes int
	last  uint64 // of the last message that was queued
	err   error
	wake  chan struct{}
}

// NewStream returns a stream without subscriptions. limit bounds the bytes
// that wait to be read; 0 means 1 MiB. It must be closed.
func (b *Bus) NewStream(limit int) *Stream {
	if limit == 0 {
		limit = 1 << 20
	}
	return &Stream{bus: b, limit: limit, filters: make(map[string]*filter), wake: make(chan struct{}, 1)}
}

// streamMost bounds what a stream gets of the past.
var streamMost = page{limit: 10_000, bytes: 4 << 20}

// Subscribe adds filters. The stream begins with what came since, if that was
// asked for, else with what the topics retain.
func (s *Stream) Subscribe(ctx context.Context, filters []string, since history.Since) error {
	s.bus.mu.Lock()
	have := len(s.filters)
	s.bus.mu.Unlock()
	if err := checkFilters(filters, have); err != nil {
		return err
	}
	return s.bus.begin(ctx, filters, since, streamMost, func(retained, missed []*Message) {
		first := retained
		if since.Given {
			first = missed
		}
		s.prepend(first)
		for _, text := range filters {
			if s.filters[text] != nil {
				continue
			}
			f := s.bus.tree.get(text)
			s.filters[text] = f
			f.streams[s] = struct{}{}
		}
	})
}

// Unsubscribe takes filters out again.
func (s *Stream) Unsubscribe(filters []string) {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	for _, text := range filters {
		s.drop(text)
	}
}

// drop takes one filter out; bus.mu is held.
func (s *Stream) drop(text string) {
	f := s.filters[text]
	if f == nil {
		return
	}
	delete(s.filters, text)
	delete(f.streams, s)
	if f.unused() {
		s.bus.tree.remove(f)
	}
}

// Close ends the stream. It may be called more than once.
func (s *Stream) Close() {
	s.bus.mu.Lock()
	for text := range s.filters {
		s.drop(text)
	}
	s.bus.mu.Unlock()
	s.end(ErrStreamClosed)
}

// prepend queues what comes first, whatever the bound: it has bounds of its own.
func (s *Stream) prepend(messages []*Message) {
	s.mu.Lock()
	for _, m := range messages {
		s.add(m)
	}
	s.mu.Unlock()
	s.signal()
}

func (s *Stream) add(m *Message) {
	s.queue = append(s.queue, m)
	s.bytes += m.cost()
}

// push queues a message once, however many filters match it.
func (s *Stream) push(m *Message) {
	s.mu.Lock()
	switch {
	case s.last == m.Seq || s.err != nil:
		s.mu.Unlock()
		return
	case len(s.queue) > 0 && s.bytes+m.cost() > s.limit:
		s.mu.Unlock()
		if !m.Volatile {
			s.end(ErrSlow)
		}
		return
	}
	s.last = m.Seq
	s.add(m)
	s.mu.Unlock()
	s.signal()
}

func (s *Stream) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
}

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for messages and returns all that wait, in order. After the last
// the error is ErrSlow, ErrStreamClosed, or that of ctx. Only one goroutine
// may call it.
func (s *Stream) Next(ctx context.Context) ([]*Message, error) {
	for {
		s.mu.Lock()
		got, err := s.queue, s.err
		s.queue, s.bytes = nil, 0
		s.mu.Unlock()
		if len(got) > 0 {
			return got, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
