package realtime

import (
	"slices"
	"sync"
	"sync/atomic"
)

// list is what a program has put somewhere. It is read without a lock, and
// changed by being replaced.
type list[T any] struct {
	mu    sync.Mutex // serialises writers
	items atomic.Pointer[[]*T]
}

// add appends, and returns what takes the item out again.
func (l *list[T]) add(v T) (remove func()) {
	item := &v
	l.replace(func(items []*T) []*T { return append(items, item) })
	return func() {
		l.replace(func(items []*T) []*T {
			return slices.DeleteFunc(items, func(other *T) bool { return other == item })
		})
	}
}

func (l *list[T]) replace(change func([]*T) []*T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	items := change(slices.Clone(l.all()))
	l.items.Store(&items)
}

func (l *list[T]) all() []*T {
	if items := l.items.Load(); items != nil {
		return *items
	}
	return nil
}
