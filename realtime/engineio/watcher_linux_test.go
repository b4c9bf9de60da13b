//go:build !386 && !s390x

package engineio

import (
	"testing"
	"time"
)

// TestNobodyWaitsForTheWatcher has messages wait for those of other sockets, in
// the middle of the protocol and at work: whoever watches is among them.
func TestNobodyWaitsForTheWatcher(t *testing.T) {
	for name, at := range map[string]func(do func(*Socket, string)) func(*Socket, Message){
		"message": func(do func(*Socket, string)) func(*Socket, Message) {
			return func(s *Socket, m Message) { do(s, string(m.Data)) }
		},
		"work": atWork,
	} {
		t.Run(name, func(t *testing.T) {
			const n = 20
			var came [n + 1]chan struct{}
			for i := range came {
				came[i] = make(chan struct{})
			}
			numbers := make(chan int, n)
			for i := range n {
				numbers <- i
			}
			all := newSessions(t, at(func(s *Socket, text string) {
				if text == "hello" {
					s.Send(textPacket(text), SendOptions{})
					return
				}
				i := <-numbers
				close(came[i])
				<-came[i+1]
				s.Send(textPacket(text), SendOptions{})
			}))
			b := overTCP(t, Options{PingInterval: time.Hour}, all.accept)
			var clients []*client
			for range n {
				c := b.connect(WebSocket)
				clients = append(clients, c)
				for range 3 { // the watcher learns that it may read
					c.say("hello")
					c.wantMessages("hello")
				}
				b.wantQuiet(len(clients))
			}
			for i, c := range clients {
				c.say("waits")
				<-came[i] // alone, and so read by the watcher
			}
			close(came[n])
			for _, c := range clients {
				c.wantMessages("waits")
			}
			b.wantQuiet(n)
		})
	}
}

func TestHaste(t *testing.T) {
	var h haste
	read := func(n int) (own int) {
		for range n {
			if h.allowed(1) {
				own++
			}
		}
		return own
	}
	if got := read(10); got != 10 {
		t.Errorf("%d of 10 read before anything was slow", got)
	}
	h.slow()
	if got := read(leastSkip); got != 1 {
		t.Errorf("%d of %d read after one was slow", got, leastSkip)
	}
	for range 20 {
		h.slow()
	}
	if got := read(2 * mostSkip); got != mostSkip+1 {
		t.Errorf("%d of %d read after each was slow", got, 2*mostSkip)
	}
	for range mostSkip {
		h.quick()
	}
	h.slow()
	if got := read(leastSkip); got != 1 {
		t.Errorf("%d of %d read after one was slow, and many quick before", got, leastSkip)
	}
}
