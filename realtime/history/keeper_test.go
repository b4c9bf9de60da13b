package history

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Tight has a keeper keep next to nothing in memory.
func Tight(k *Keeper) *Keeper {
	k.most = channelSize
	return k
}

// TestKeeperIsBounded, however many channels there are and however large.
func TestKeeperIsBounded(t *testing.T) {
	k := NewKeeper(NewMemory(Retention{}, 0), 4)
	k.most = 100_000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				m := Message{Channel: fmt.Sprint(i % 300), Time: time.Now(), Data: make([]byte, i)}
				k.Publish(t.Context(), m, func(Message) {}, func(_ Receipt, err error) {
					if err != nil {
						t.Error(err)
					}
				})
				if i%7 == 0 {
					k.Delete(t.Context(), m.Channel, 1)
				}
				if i%500 == 0 {
					k.Reload()
				}
			}
		})
	}
	wg.Wait()
	if k.size > k.most {
		t.Errorf("%d bytes are in memory", k.size)
	}
	var size int64
	for name, c := range k.channels {
		size += c.size
		if got := channelSize + c.bytes; c.size != got || c.waiting != 0 {
			t.Errorf("channel %s has %d bytes, and is counted as %d; %d wait", name, got, c.size, c.waiting)
		}
	}
	if size != k.size || len(k.channels) == 0 {
		t.Errorf("%d channels have %d bytes, counted as %d", len(k.channels), size, k.size)
	}
}

// TestKeeperOfLargeMessages keeps few of them in memory, and gives back all.
func TestKeeperOfLargeMessages(t *testing.T) {
	k := NewKeeper(NewMemory(Retention{}, 0), 0)
	const n = 20
	for range n {
		k.Publish(t.Context(), Message{Channel: "a", Time: time.Now(), Data: make([]byte, maxTail/4)}, func(Message) {}, func(Receipt, error) {})
	}
	for _, when := range []string{"after publishing", "read anew"} {
		if tail := k.channels["a"]; tail.bytes > maxTail || len(tail.tail) == 0 {
			t.Errorf("%s %d bytes of %d messages are in memory", when, tail.bytes, len(tail.tail))
		}
		got := 0
		if err := k.Begin(t.Context(), Query{Channel: "a"}, func(messages []Message, _ uint64) { got = len(messages) }); err != nil || got != n {
			t.Errorf("%s %d messages are there, %v", when, got, err)
		}
		k.Reload()
		if err := k.Begin(t.Context(), Query{Channel: "a", After: n - 1}, func([]Message, uint64) {}); err != nil {
			t.Error(err)
		}
	}
}
