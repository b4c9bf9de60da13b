//go:build !386 && !s390x

package engineio

import (
	"io"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

func (p *parking) counts() (awake, parked int, watching bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.awake), p.count, p.set != nil
}

// wantParked waits until so many connections are parked, and no other is left.
func (b *bench) wantParked(want int) {
	b.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		awake, parked, watching := b.engine.parking.counts()
		if awake == 0 && parked == want && watching == (want > 0) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d connections awake, %d parked, watching: %t; want %d parked", awake, parked, watching, want)
		}
		time.Sleep(time.Millisecond)
	}
}

func parkingBench(t *testing.T, o Options, all *sessions) *bench {
	b := overTCP(t, o, all.accept)
	b.engine.parking.after, b.engine.parking.again = 5*time.Millisecond, 5*time.Millisecond
	return b
}

func TestParking(t *testing.T) {
	const n = 50
	all := newSessions(t, echo)
	b := parkingBench(t, Options{}, all)
	var clients []*client
	var servers []*recorder
	before := runtime.NumGoroutine()
	for i := range n {
		c := b.connect(modes[1+i%2])
		c.say("connected") // so that an upgrade is over
		c.wantMessages("connected")
		clients = append(clients, c)
		servers = append(servers, all.next())
	}
	b.http.CloseIdleConnections()
	b.wantParked(n)
	if more := runtime.NumGoroutine() - before; more > n/2 {
		t.Errorf("%d goroutines for %d parked connections", more, n)
	}

	for range 3 {
		for i, c := range clients {
			servers[i].s.Send(textPacket("to a parked one"), SendOptions{})
			c.wantMessages("to a parked one")
		}
		b.wantParked(n) // writing wakes nobody
		for i, c := range clients {
			c.say(strconv.Itoa(i))
			c.wantMessages(strconv.Itoa(i))
		}
		b.wantParked(n)
	}

	// Half a frame keeps its reader.
	half := masked(0x81, "4in two halves")
	clients[0].ws.NetConn().Write(half[:8])
	time.Sleep(50 * time.Millisecond)
	if awake, parked, _ := b.engine.parking.counts(); awake != 1 || parked != n-1 {
		t.Errorf("%d awake, %d parked with half a frame read", awake, parked)
	}
	clients[0].ws.NetConn().Write(half[8:])
	clients[0].wantMessages("in two halves")
	b.wantParked(n)

	// Every way to end a parked connection.
	clients[0].ws.NetConn().Close()
	servers[0].wantClosed(ReasonTransportClose)
	servers[1].s.Close(ReasonForcedClose)
	servers[1].wantClosed(ReasonForcedClose)
	if code := closeCode(t, clients[1].end()); code != 1005 {
		t.Errorf("close code %d", code)
	}
	servers[2].s.end(ReasonPingTimeout, nil, broken)
	servers[2].wantClosed(ReasonPingTimeout)
	b.wantParked(n - 3)
	b.engine.Close()
	for _, r := range servers[3:] {
		r.wantClosed(ReasonShutdown)
	}
	b.wantParked(0)
}

// TestTalkersKeepTheirReader: who says something soon after having been parked
// is not parked again at once.
func TestTalkersKeepTheirReader(t *testing.T) {
	all := newSessions(t, echo)
	b := parkingBench(t, Options{}, all)
	b.engine.parking.again = time.Hour
	c := b.connect(WebSocket)
	b.wantParked(1)
	for range 3 {
		c.say("word")
		c.wantMessages("word")
		if awake, parked, watching := b.engine.parking.counts(); awake != 1 || parked != 0 {
			t.Fatalf("%d awake, %d parked, watching: %t", awake, parked, watching)
		}
	}
}

// TestParkedHeartbeats keeps parked sessions alive, each pong being read by a
// reader that parks again at once.
func TestParkedHeartbeats(t *testing.T) {
	const n = 20
	all := newSessions(t, echo)
	b := parkingBench(t, Options{PingInterval: 50 * time.Millisecond, PingTimeout: 2 * time.Second}, all)
	var wg sync.WaitGroup
	stop := time.Now().Add(time.Second)
	for range n {
		c := b.connect(WebSocket)
		wg.Go(func() {
			for time.Now().Before(stop) {
				if p := c.next(); p.Type == wire.Ping {
					c.send(wire.Packet{Type: wire.Pong})
				}
			}
		})
	}
	wg.Wait()
	for range n {
		r := all.next()
		if r.s.closed.Load() {
			t.Errorf("session ended: %s, %v", r.reason, r.err)
		}
	}
}

// TestParkingChurn parks as soon as it can, while clients talk, fall silent
// and go, and the server sends and closes.
func TestParkingChurn(t *testing.T) {
	all := newSessions(t, echo)
	b := overTCP(t, Options{}, all.accept)
	b.engine.parking.after, b.engine.parking.again = 50*time.Microsecond, 50*time.Microsecond
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 10 {
				c := b.connect(modes[1+i%2])
				for j := range 10 {
					word := strconv.Itoa(j)
					c.say(word)
					c.wantMessages(word)
					time.Sleep(time.Duration(w*j) * 10 * time.Microsecond)
				}
				if i%2 == 0 {
					c.ws.NetConn().Close()
					continue
				}
				c.send(wire.Packet{Type: wire.Close})
				go io.Copy(io.Discard, c.ws.NetConn())
			}
		})
	}
	wg.Wait()
	for range 16 * 10 {
		<-all.next().closed
	}
	b.wantParked(0)
}
