package engineio

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// atWork is a receiver that has a task for each message.
func atWork(do func(s *Socket, text string)) func(*Socket, Message) {
	return func(s *Socket, m Message) {
		text := string(m.Data)
		s.Work(task(func() { do(s, text) }))
	}
}

// TestWorkHoldsNothingUp has each message wait for the next one.
func TestWorkHoldsNothingUp(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string, serve func(testing.TB, Options, func(*Socket) Receiver) *bench) {
		const n = 10
		var came [n + 1]chan struct{}
		for i := range came {
			came[i] = make(chan struct{})
		}
		all := newSessions(t, atWork(func(s *Socket, text string) {
			i, err := strconv.Atoi(text)
			if err != nil {
				t.Error(err)
			}
			close(came[i])
			if i < n {
				<-came[i+1]
			}
			s.Send(textPacket(text), SendOptions{})
		}))
		c := serve(t, Options{}, all.accept).connect(mode)
		for i := range n + 1 {
			c.say(strconv.Itoa(i))
		}
		var got []string
		for range n + 1 {
			got = append(got, string(c.message().Data))
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != n+1 {
			t.Errorf("answered were %q", got)
		}
	})
}

// TestWorkIsRelieved measures how long the next message waits for the work of
// the one before.
func TestWorkIsRelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, atWork(func(s *Socket, text string) {
			s.Send(textPacket(text), SendOptions{})
			switch text {
			case "waits":
				time.Sleep(time.Second)
			case "yields":
				s.Yield()
				time.Sleep(time.Second)
			}
		}))
		c := overPipes(t, Options{PingInterval: time.Hour}, all.accept).connect(WebSocket)
		time.Sleep(time.Minute) // nothing is listed to be looked at any more
		for first, want := range map[string]time.Duration{"waits": lateFlush, "yields": 0} {
			said := time.Now()
			c.say(first)
			c.wantMessages(first)
			if got := time.Since(said); got != want {
				t.Errorf("what %q sends is written after %v, want %v", first, got, want)
			}
			c.say("next")
			c.wantMessages("next")
			// What is sent beside the work of another may wait as well.
			if got := time.Since(said); got > want+lateFlush {
				t.Errorf("the next message after %q is answered after %v, want %v", first, got, want+lateFlush)
			}
			time.Sleep(time.Minute) // until nobody works
		}
	})
}
