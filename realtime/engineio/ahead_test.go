package engineio

import (
	"testing"
	"testing/synctest"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// TestAnswerGoesAhead: in version 3 the handshake is not in the read that brings
// the answer to the upgrade, where a client that first waits for the connection
// to open would miss it.
func TestAnswerGoesAhead(t *testing.T) {
	for version, pause := range map[wire.Version]time.Duration{wire.V3: headStart, wire.V4: 0} {
		synctest.Test(t, func(t *testing.T) {
			b := overPipes(t, Options{AllowEIO3: true}, newSessions(t, nil).accept)
			b.eio = version
			c := &client{bench: b, ws: b.dialWebSocket("")}
			answered := time.Now()
			if p := c.next(); p.Type != wire.Open {
				t.Fatalf("first packet is %v", p)
			}
			if d := time.Since(answered); d != pause {
				t.Errorf("version %d: the handshake came %v after the answer to the upgrade, want %v", version, d, pause)
			}
		})
	}
}

// TestAnswerGoesAheadOverTCP is the same where frames are written without Go's
// poller. The time between two hooks is the only thing that no machine can make
// shorter.
func TestAnswerGoesAheadOverTCP(t *testing.T) {
	var opened time.Time
	written := make(chan time.Time, 1)
	o := Options{AllowEIO3: true, Hooks: Hooks{
		Opened: func(*Socket) { opened = time.Now() },
		Sent:   func(*Socket, int, int) { written <- time.Now() },
	}}
	b := overTCP(t, o, newSessions(t, nil).accept)
	b.eio = wire.V3
	b.connect(WebSocket)
	if d := (<-written).Sub(opened); d < headStart {
		t.Errorf("the handshake was written %v after the session was opened", d)
	}
}

func TestAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(t, nil)
		b := overPipes(t, Options{}, all.accept)
		c := b.connect(WebSocket)
		r := all.next()
		comes := func(want string, after time.Duration) {
			t.Helper()
			sent := time.Now()
			c.wantMessages(want)
			if d := time.Since(sent); d != after {
				t.Errorf("%s came after %v, want %v", want, d, after)
			}
		}
		r.s.Send(textPacket("first"), SendOptions{Ahead: true})
		r.s.Send(textPacket("second"), SendOptions{})
		comes("first", 0)
		comes("second", headStart)
		r.s.Send(textPacket("third"), SendOptions{})
		comes("third", 0)

		// A handler that takes its time holds nothing up.
		synctest.Wait() // until nobody writes
		r.s.Cork()
		r.s.Send(textPacket("first"), SendOptions{Ahead: true})
		r.s.Send(textPacket("second"), SendOptions{})
		comes("first", lateFlush)
		comes("second", headStart)
		r.s.Uncork()

		// Who speaks has heard.
		r.s.Send(textPacket("first"), SendOptions{Ahead: true})
		comes("first", 0)
		r.s.Send(textPacket("second"), SendOptions{})
		c.say("what is new?")
		comes("second", 0)

		// At the end nothing waits.
		r.s.Send(textPacket("first"), SendOptions{Ahead: true})
		comes("first", 0)
		r.s.Send(textPacket("second"), SendOptions{})
		r.s.Close(ReasonForcedClose)
		comes("second", 0)
	})
}
