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

// quiet counts the watched connections from which nobody reads.
func (w *watch) quiet() (quietly int, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.slots {
		if c != nil && c.attention.Load() == quiet {
			quietly++
		}
	}
	return quietly, w.set != nil
}

// wantQuiet waits until there are so many connections, none of which is read.
func (b *bench) wantQuiet(want int) {
	b.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		n, open := b.engine.watch.quiet()
		if n == want && open == (want > 0) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d connections are watched (set: %t), want %d", n, open, want)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestWatch(t *testing.T) {
	const n = 200
	all := newSessions(t, echo)
	b := overTCP(t, Options{}, all.accept)
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
	b.wantQuiet(n)
	if more := runtime.NumGoroutine() - before; more > n/2 {
		t.Errorf("%d goroutines for %d silent connections", more, n)
	}

	for range 3 {
		for i, c := range clients {
			servers[i].s.Send(textPacket("news"), SendOptions{})
			c.wantMessages("news")
			c.say(strconv.Itoa(i))
			c.wantMessages(strconv.Itoa(i))
		}
		b.wantQuiet(n)
	}

	// Half a frame takes no goroutine.
	half := masked(0x81, "4in two halves")
	clients[0].ws.NetConn().Write(half[:8])
	clients[1].say("after the first half")
	clients[1].wantMessages("after the first half")
	b.wantQuiet(n)
	clients[0].ws.NetConn().Write(half[8:])
	clients[0].wantMessages("in two halves")

	// Every way to end a watched connection.
	b.wantQuiet(n)
	clients[0].ws.NetConn().Close()
	servers[0].wantClosed(ReasonTransportClose)
	servers[1].s.Close(ReasonForcedClose)
	servers[1].wantClosed(ReasonForcedClose)
	if code := closeCode(t, clients[1].end()); code != 1005 {
		t.Errorf("close code %d", code)
	}
	servers[2].s.end(ReasonPingTimeout, nil, broken)
	servers[2].wantClosed(ReasonPingTimeout)
	b.wantQuiet(n - 3)
	b.engine.Close()
	for _, r := range servers[3:] {
		r.wantClosed(ReasonShutdown)
	}
	b.wantQuiet(0)
}

// TestLastWords has clients end the connection in the same moment in which they
// say something: what they say is heard, and so is that they are gone, though
// the set may tell of both at once.
func TestLastWords(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{PingInterval: time.Hour}, all.accept)
	for i := range 200 {
		c := b.connect(WebSocket)
		r := all.next()
		c.say("last words")
		if i%2 == 0 {
			b.wantQuiet(1)
		}
		c.ws.NetConn().Close()
		r.wantClosed(ReasonTransportClose)
		if len(r.messages) != 1 {
			t.Fatalf("client %d: %d messages", i, len(r.messages))
		}
	}
}

// TestLongMessages fills the buffers to the last byte, where only another read
// tells that there is nothing more.
func TestLongMessages(t *testing.T) {
	all := newSessions(t, echo)
	b := overTCP(t, Options{}, all.accept)
	c := b.connect(WebSocket)
	for _, size := range []int{4 << 10, 64 << 10, readBuffer - 14, readBuffer, 2*readBuffer - 14, 3 * readBuffer} {
		for d := range 4 {
			data := make([]byte, size-d)
			c.send(wire.Packet{Type: wire.Message, Binary: true, Data: data})
			if m := c.message(); len(m.Data) != len(data) {
				t.Fatalf("%d bytes come back of %d", len(m.Data), len(data))
			}
		}
	}
}

// TestWatchedHeartbeats keeps sessions alive by nothing but their heartbeat.
func TestWatchedHeartbeats(t *testing.T) {
	const n = 20
	all := newSessions(t, echo)
	b := overTCP(t, Options{PingInterval: 50 * time.Millisecond, PingTimeout: 2 * time.Second}, all.accept)
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

// TestWatchChurn has clients talk, fall silent and go, while the server sends
// and closes.
func TestWatchChurn(t *testing.T) {
	all := newSessions(t, echo)
	b := overTCP(t, Options{}, all.accept)
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
	b.wantQuiet(0)
}
