package engineio

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/wire"
)

// TestWorkIsSeenByThoseWhoRelieve: a socket may be on the late list already
// when work begins. Whoever takes it off the list then is the only one who
// comes by, and must see that somebody works.
func TestWorkIsSeenByThoseWhoRelieve(t *testing.T) {
	seen := make(chan bool, 1)
	all := newSessions(t, func(s *Socket, _ Message) {
		s.Work(task(func() {}))
		s.mu.Lock() // as lateList.flush has it when it takes the socket off the list
		s.late = true
		go func() {
			defer s.mu.Unlock()
			s.late = false
			for range 1000 {
				if s.ws.turn.Load()%2 == 1 {
					seen <- true
					return
				}
				time.Sleep(time.Millisecond)
			}
			seen <- false
		}()
	})
	c := overTCP(t, Options{}, all.accept).connect(WebSocket)
	c.say("work")
	if !<-seen {
		t.Error("who takes the socket off the list does not see that it is at work")
	}
}

// count is how many messages have come.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.messages)
}

// heap is the memory in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestUnreadAnswersAreBounded: a client that has its pings answered and reads
// none of the answers takes no more memory than others who do not read.
func TestUnreadAnswersAreBounded(t *testing.T) {
	ping3 := wire.Packet{Type: wire.Ping, Data: bytes.Repeat([]byte("p"), 900_000)}
	for name, flood := range map[string]func(*client, *Socket){
		"of the WebSocket": func(c *client, s *Socket) {
			long := bytes.Repeat(masked(0x89, strings.Repeat("p", 125)), 100)
			for s.QueuedBytes() < 10_000 { // until the kernel takes no more
				c.ws.NetConn().Write(long)
				time.Sleep(time.Millisecond)
			}
			c.ws.NetConn().Write(bytes.Repeat(masked(0x89, ""), 600_000))
		},
		"of version 3": func(c *client, _ *Socket) {
			for range 60 {
				if c.trySend(ping3) != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := newSessions(t, nil)
			b := overTCP(t, Options{AllowEIO3: true, PingInterval: time.Hour}, all.accept)
			b.eio = wire.V3
			c := b.connect(WebSocket)
			r := all.next()
			c.ws.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
			before := heap()
			flood(c, r.s) // whose own garbage is not to be measured
			c.trySend(wire.Packet{Type: wire.Message, Data: []byte("that was all")})
			for r.count() == 0 && !r.s.closed.Load() {
				time.Sleep(time.Millisecond)
			}
			more := heap() - before
			for range 100 { // what is still being read is not kept
				if more <= 16<<20 {
					return
				}
				time.Sleep(10 * time.Millisecond)
				more = heap() - before
			}
			t.Errorf("%d KB for answers that nobody reads", more>>10)
		})
	}
}

// TestManyProbes: a probe that is said again has no more polls released.
func TestManyProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		c := overPipes(t, Options{}, all.accept).connect(Polling)
		ws := c.dialWebSocket(c.sid)
		for range 50 {
			c.must(ws.WriteMessage(websocket.TextMessage, []byte("2probe")))
			if _, _, err := ws.ReadMessage(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(noopEvery / 50)
		}
		began, polls := time.Now(), 0
		for time.Since(began) < time.Second {
			if p := c.next(); p.Type != wire.Noop {
				t.Fatalf("polled %v", p)
			}
			polls++
		}
		if want := int(time.Second/noopEvery) + 1; polls > want {
			t.Errorf("%d polls are released in a second, want %d", polls, want)
		}
	})
}

// TestSlowReaderIsLeft: a peer that takes its time with each of many frames does
// not keep a connection that has ended.
func TestSlowReaderIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		b := overPipes(t, Options{}, all.accept)
		c := b.connect(WebSocket)
		r := all.next()
		for range 100 {
			r.s.Send(textPacket("news"), SendOptions{})
		}
		synctest.Wait()
		r.s.Close(ReasonForcedClose)
		began := time.Now()
		for {
			time.Sleep(4 * time.Second)
			if _, err := c.tryNext(); err != nil {
				break
			}
		}
		if d := time.Since(began); d > 3*closeWait {
			t.Errorf("the connection is kept for %v", d)
		}
	})
}

// TestBlockedReceiver: heartbeats go on while a receiver takes its time, and
// find out that the peer is gone.
func TestBlockedReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, func(s *Socket, _ Message) { <-s.Done() })
		c := overPipes(t, Options{}, all.accept).connect(WebSocket)
		r := all.next()
		c.ws.SetReadDeadline(time.Now().Add(time.Hour))
		c.say("block")
		for range 5 {
			if p := c.next(); p.Type != wire.Ping {
				t.Fatalf("got %v, want a ping", p)
			}
		}
		c.ws.NetConn().Close()
		time.Sleep(DefaultPingInterval + DefaultPingTimeout)
		select {
		case <-r.closed:
		default:
			t.Error("nobody notices that the peer is gone")
			r.s.Close(ReasonForcedClose)
		}
	})
}
