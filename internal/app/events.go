package app

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"server22.local/appliance/internal/admin"
)

// maxEvents is how many lines of the log are kept in memory for the admin
// page: about 100 KB.
const maxEvents = 500

// eventLog keeps the last lines of the log, of level info and above, and hands
// every record on. Safe for concurrent use.
type eventLog struct {
	next  slog.Handler
	attrs []slog.Attr
	group string
	ring  *eventRing
}

type eventRing struct {
	mu     sync.Mutex // guards all following fields
	last   uint64
	events []admin.Event
}

// newEventLog begins its IDs at the time, so that a page that was open over a
// restart asks for what is new.
func newEventLog(next slog.Handler) *eventLog {
	return &eventLog{next: next, ring: &eventRing{last: uint64(time.Now().UnixMilli())}}
}

// Enabled is slog.Handler's.
func (h *eventLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

// Handle is slog.Handler's.
func (h *eventLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		h.keep(r)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *eventLog) keep(r slog.Record) {
	e := admin.Event{Time: r.Time.UnixMilli(), Level: r.Level.String(), Text: r.Message}
	add := func(a slog.Attr) bool {
		if text := a.Value.Resolve().String(); text != "" {
			if e.Attrs == nil {
				e.Attrs = map[string]string{}
			}
			e.Attrs[a.Key] = text
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(func(a slog.Attr) bool {
		a.Key = h.group + a.Key
		return add(a)
	})
	h.ring.add(e)
}

func (r *eventRing) add(e admin.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	e.ID = r.last
	r.events = append(r.events, e)
	if len(r.events) > 2*maxEvents {
		r.events = slices.Clone(r.events[len(r.events)-maxEvents:])
	}
}

// after returns the lines after an ID, the oldest first; all of them if the ID
// is yet to come: the clock was set back since.
func (r *eventRing) after(id uint64) []admin.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id > r.last {
		id = 0
	}
	events := r.events[max(0, len(r.events)-maxEvents):]
	i, _ := slices.BinarySearchFunc(events, id+1, func(e admin.Event, id uint64) int { return int(e.ID) - int(id) })
	return append([]admin.Event{}, events[i:]...)
}

// WithAttrs is slog.Handler's.
func (h *eventLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.next = h.next.WithAttrs(attrs)
	next.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

// WithGroup is slog.Handler's.
func (h *eventLog) WithGroup(name string) slog.Handler {
	next := *h
	next.next = h.next.WithGroup(name)
	next.group = h.group + name + "."
	return &next
}
