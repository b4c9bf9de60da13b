//go:build !386 && !s390x

package engineio

import (
	"testing"
	"time"
)

// TestNobodyWaitsForTheWatcher has the first message that a server reads wait
// for that of another socket, in the middle of the protocol and at work: it is
// the watcher that waits.
func TestNobodyWaitsForTheWatcher(t *testing.T) {
	for name, at := range map[string]func(do func(*Socket, string)) func(*Socket, Message){
		"message": func(do func(*Socket, string)) func(*Socket, Message) {
			return func(s *Socket, m Message) { do(s, string(m.Data)) }
		},
		"work": atWork,
	} {
		t.Run(name, func(t *testing.T) {
			first, second := make(chan struct{}), make(chan struct{})
			all := newSessions(t, at(func(s *Socket, text string) {
				if text == "second" {
					close(second)
				} else {
					close(first)
					<-second
				}
				s.Send(textPacket(text), SendOptions{})
			}))
			b := overTCP(t, Options{PingInterval: time.Hour}, all.accept)
			waits, helps := b.connect(WebSocket), b.connect(WebSocket)
			b.wantQuiet(2)
			waits.say("first")
			<-first
			helps.say("second")
			waits.wantMessages("first")
			helps.wantMessages("second")
			b.wantQuiet(2)
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
