package engineio

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/wire"
)

// silentFor opens a session that never answers and returns how long it lasts.
func silentFor(t *testing.T, o Options, mode string, version wire.Version) (lasted time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		b := overPipes(t, o, all.accept)
		b.eio = version
		c := b.connect(mode)
		start := time.Now()
		r := all.next()
		go c.end() // reads, but says nothing
		r.wantClosed(ReasonPingTimeout)
		lasted = time.Since(start)
		synctest.Wait()
	})
	return lasted
}

func TestSilentClient(t *testing.T) {
	for _, mode := range modes {
		for _, version := range []wire.Version{wire.V4, wire.V3} {
			for _, times := range [][2]time.Duration{
				{25 * time.Second, 20 * time.Second},
				{300 * time.Millisecond, 200 * time.Millisecond},
				{time.Second, 30 * time.Second},
			} {
				o := Options{PingInterval: times[0], PingTimeout: times[1], AllowEIO3: true}
				want := times[0] + times[1]
				lasted := silentFor(t, o, mode, version)
				if lasted > want || lasted < want-want/50 {
					t.Errorf("%s, version %d: session of a silent client lasts %v, want up to %v", mode, version, lasted, want)
				}
			}
		}
	}
}

// TestAbsentClient has a server that is so busy that it sends no ping: who did
// not poll for as long as a heartbeat takes has lost the session anyway.
func TestAbsentClient(t *testing.T) {
	for away, want := range map[time.Duration]string{400 * time.Millisecond: "", 500 * time.Millisecond: string(ReasonPingTimeout)} {
		synctest.Test(t, func(t *testing.T) {
			all := newSessions(t, nil)
			b := overPipes(t, Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}, all.accept)
			c := b.connect(Polling)
			r := all.next()
			b.engine.beats.mu.Lock()
			b.engine.beats.timer.Stop()
			b.engine.beats.mu.Unlock()
			time.Sleep(away)
			r.s.Send(textPacket("for the poll"), SendOptions{})
			go c.end()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			if string(r.reason) != want {
				t.Errorf("after %v: ended as %q, want %q", away, r.reason, want)
			}
		})
	}
}

// TestHeartbeats keeps sessions for an hour.
func TestHeartbeats(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := newSessions(t, nil)
				c := overPipes(t, Options{}, all.accept).connect(mode)
				r := all.next()
				start, pings := time.Now(), 0
				for time.Since(start) < time.Hour {
					p := c.next()
					if p.Type == wire.Ping {
						pings++
						time.Sleep(3 * time.Second) // slow, but in time
						c.send(wire.Packet{Type: wire.Pong})
					}
				}
				if pings < 127 || pings > 130 { // 3600 s / 28 s
					t.Errorf("%d pings in an hour", pings)
				}
				c.say("still here")
				synctest.Wait()
				if r.reason != "" {
					t.Errorf("session ended: %s, %v", r.reason, r.err)
				}
			})
		})
	}
}

func TestHeartbeatsVersion3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		b := overPipes(t, Options{AllowEIO3: true}, all.accept)
		b.eio = wire.V3
		c := b.connect(WebSocket)
		r := all.next()
		for range 100 {
			time.Sleep(25 * time.Second)
			c.send(wire.Packet{Type: wire.Ping, Data: []byte("data")})
			if p := c.next(); p.Type != wire.Pong || string(p.Data) != "data" {
				t.Fatalf("ping answered by %v %q", p.Type, p.Data)
			}
		}
		time.Sleep(46 * time.Second)
		synctest.Wait()
		r.wantClosed(ReasonPingTimeout)
	})
}

// TestPatience checks that a session is not given up while it is us who do not
// read, for a handler takes its time.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, func(s *Socket, m Message) {
			time.Sleep(5 * time.Minute)
			echo(s, m)
		})
		c := overPipes(t, Options{}, all.accept).connect(WebSocket)
		r := all.next()
		c.say("take your time")
		for {
			p := c.next()
			if p.Type == wire.Message {
				break
			}
			// The pong cannot be written: nobody reads it yet.
		}
		c.send(wire.Packet{Type: wire.Pong})
		synctest.Wait()
		if r.reason != "" {
			t.Errorf("session ended: %s", r.reason)
		}
	})
}

func TestHeartbeatInWrongDirection(t *testing.T) {
	for _, mode := range modes {
		for version, wrong := range map[wire.Version]wire.Type{wire.V4: wire.Ping, wire.V3: wire.Pong} {
			all := newSessions(t, nil)
			b := overTCP(t, Options{AllowEIO3: true}, all.accept)
			b.eio = version
			c := b.connect(mode)
			c.trySend(wire.Packet{Type: wrong})
			all.next().wantClosed(ReasonTransportError)
		}
	}
}

// TestPingCrossesUpgrade has the heartbeat fall into the upgrade: it must
// reach the client by one transport or the other.
func TestPingCrossesUpgrade(t *testing.T) {
	for offset := -2 * time.Millisecond; offset <= 2*time.Millisecond; offset += 500 * time.Microsecond {
		synctest.Test(t, func(t *testing.T) {
			all := newSessions(t, nil)
			c := overPipes(t, Options{}, all.accept).connect(Polling)
			time.Sleep(early(DefaultPingInterval) + offset)
			ws := c.dialWebSocket(c.sid)
			c.must(ws.WriteMessage(websocket.TextMessage, []byte("2probe")))
			ws.ReadMessage()
			c.must(ws.WriteMessage(websocket.TextMessage, []byte("5")))
			c.ws = ws
			if p := c.next(); p.Type != wire.Ping {
				t.Errorf("offset %v: got %v, want the ping", offset, p.Type)
			}
		})
	}
}

func TestUpgradeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		c := overPipes(t, Options{}, all.accept).connect(Polling)
		r := all.next()
		ws := c.dialWebSocket(c.sid)
		start := time.Now()
		ws.WriteMessage(websocket.TextMessage, []byte("2probe"))
		ws.ReadMessage()
		if _, _, err := ws.ReadMessage(); err == nil {
			t.Error("candidate goes on")
		}
		if d := time.Since(start); d != DefaultUpgradeTimeout {
			t.Errorf("upgrade given up after %v", d)
		}
		// Polling goes on, and another upgrade is possible.
		r.s.Send(textPacket("by polling"), SendOptions{})
		c.wantMessages("by polling")
		c.upgrade()
		r.s.Send(textPacket("by websocket"), SendOptions{})
		c.wantMessages("by websocket")
	})
}

// TestNoopForEveryPoll polls again and again while an upgrade hangs: each poll
// must be released soon.
func TestNoopForEveryPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		c := overPipes(t, Options{}, all.accept).connect(Polling)
		ws := c.dialWebSocket(c.sid)
		ws.WriteMessage(websocket.TextMessage, []byte("2probe"))
		ws.ReadMessage()
		for range 5 {
			start := time.Now()
			if p := c.next(); p.Type != wire.Noop {
				t.Fatalf("poll answered by %v", p.Type)
			}
			if d := time.Since(start); d > noopEvery {
				t.Errorf("poll released after %v", d)
			}
		}
	})
}

// TestFarewellIsFetched lets a polling client come late for the close packet,
// and forgets the session if it does not come at all.
func TestFarewellIsFetched(t *testing.T) {
	for late, want := range map[time.Duration]string{
		29 * time.Second: "1",
		31 * time.Second: `{"code":1,"message":"Session ID unknown"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			all := newSessions(t, nil)
			c := overPipes(t, Options{}, all.accept).connect(Polling)
			all.next().s.Close(ReasonForcedClose)
			time.Sleep(late)
			_, body, _, err := c.tryPoll()
			if err != nil || !strings.HasSuffix(string(body), want) {
				t.Errorf("after %v: %q, %v; want %q", late, body, err, want)
			}
		})
	}
}

// TestPeerThatIgnoresClose gives up on a WebSocket that does not answer the
// close frame.
func TestPeerThatIgnoresClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		b := overPipes(t, Options{}, all.accept)
		c := b.connect(WebSocket)
		c.ws.SetCloseHandler(func(int, string) error { return nil })
		r := all.next()
		r.s.Close(ReasonForcedClose)
		c.end()
		if n := b.engine.Clients(); n != 1 {
			t.Errorf("%d clients while the close frame is unanswered", n)
		}
		time.Sleep(closeWait + time.Second)
		synctest.Wait()
		if n := b.engine.Clients(); n != 0 {
			t.Errorf("%d clients after %v", n, closeWait)
		}
	})
}
