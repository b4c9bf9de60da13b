package engineio

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/wire"
)

type serveFunc = func(testing.TB, Options, func(*Socket) Receiver) *bench

func TestEcho(t *testing.T) {
	messages := []Message{
		{Data: []byte("hello")},
		{Data: []byte{}},
		{Data: []byte("пойду спать \U0001F634 \\n\n€")},
		{Data: []byte{1, 2, 3, 0, 255}, Binary: true},
		{Data: []byte{}, Binary: true},
		{Data: bytes.Repeat([]byte("large "), 20_000)},
		{Data: bytes.Repeat([]byte{0xfe, 7}, 50_000), Binary: true},
	}
	inEachMode(t, func(t *testing.T, mode string, serve serveFunc) {
		for _, version := range []wire.Version{wire.V4, wire.V3} {
			b := serve(t, Options{AllowEIO3: true}, newSessions(t, echo).accept)
			b.eio = version
			c := b.connect(mode)
			for i, want := range messages {
				c.send(wire.Packet{Type: wire.Message, Binary: want.Binary, Data: want.Data})
				got := c.message()
				if got.Binary != want.Binary || !bytes.Equal(got.Data, want.Data) {
					t.Errorf("version %d, message %d: %d bytes came back as %d (binary: %t)", version, i, len(want.Data), len(got.Data), got.Binary)
				}
			}
		}
	})
}

// TestOrder has many goroutines send packets of several parts: the parts of a
// packet stay together, and each goroutine's packets stay in order.
func TestOrder(t *testing.T) {
	const senders, packets = 4, 200
	inEachMode(t, func(t *testing.T, mode string, serve serveFunc) {
		all := newSessions(t, nil)
		c := serve(t, Options{}, all.accept).connect(mode)
		s := all.next().s
		var wg sync.WaitGroup
		for sender := range senders {
			wg.Go(func() {
				for i := range packets {
					head := fmt.Sprintf("%d %d", sender, i)
					s.Send(NewPacket(Message{Data: []byte(head)}, Message{Data: []byte(head), Binary: true}), SendOptions{})
				}
			})
		}
		var next [senders]int
		for range senders * packets {
			head, body := c.message(), c.message()
			if head.Binary || !body.Binary || !bytes.Equal(head.Data, body.Data) {
				t.Fatalf("packet torn apart: %q, %q", head.Data, body.Data)
			}
			var sender, i int
			if _, err := fmt.Sscan(string(head.Data), &sender, &i); err != nil {
				t.Fatal(err)
			}
			if i != next[sender] {
				t.Fatalf("sender %d: packet %d, want %d", sender, i, next[sender])
			}
			next[sender]++
		}
		wg.Wait()
	})
}

// TestUpgradeLosesNothing upgrades while the server sends without a pause and
// the client posts.
func TestUpgradeLosesNothing(t *testing.T) {
	const n = 300
	all := newSessions(t, nil)
	c := overTCP(t, Options{}, all.accept).connect(Polling)
	r := all.next()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			r.s.Send(textPacket(strconv.Itoa(i)), SendOptions{})
			time.Sleep(50 * time.Microsecond)
		}
	}()
	seen := 0
	want := func(m Message) {
		if string(m.Data) != strconv.Itoa(seen) {
			t.Fatalf("got %q, want %d", m.Data, seen)
		}
		seen++
	}
	for seen < n/4 {
		want(c.message())
	}
	for len(c.backlog) > 0 {
		want(c.message())
	}
	c.say("posted")
	c.upgrade()
	c.say("over the websocket")
	for seen < n {
		want(c.message())
	}
	<-done
	c.ws.Close()
	r.wantClosed(ReasonTransportClose)
	if len(r.messages) != 2 || string(r.messages[0].Data) != "posted" {
		t.Errorf("server received %v", r.messages)
	}
}

// TestUpgradedConnectionStays writes on an upgraded connection when the time
// for the upgrade itself is long over. It needs real connections: those in
// memory are written to in another way.
func TestUpgradedConnectionStays(t *testing.T) {
	const timeout = 50 * time.Millisecond
	all := newSessions(t, nil)
	c := overTCP(t, Options{UpgradeTimeout: timeout}, all.accept).connect(Polling)
	r := all.next()
	c.upgrade()
	time.Sleep(2 * timeout)
	r.s.Send(textPacket("still here"), SendOptions{})
	c.wantMessages("still here")
}

// TestHandlerMayBlock checks that what a handler sends leaves while it still
// runs, and that others are not held up.
func TestHandlerMayBlock(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string, serve serveFunc) {
		release := make(chan struct{})
		all := newSessions(t, func(s *Socket, m Message) {
			if string(m.Data) == "block" {
				s.Send(textPacket("working"), SendOptions{})
				<-release
			}
			s.Send(textPacket("done"), SendOptions{})
		})
		b := serve(t, Options{}, all.accept)
		blocked, other := b.connect(mode), b.connect(mode)
		var wg sync.WaitGroup
		wg.Go(func() { blocked.say("block") }) // a POST is answered when it is handled
		blocked.wantMessages("working")
		other.say("go")
		other.wantMessages("done")
		close(release)
		blocked.wantMessages("done")
		wg.Wait()
	})
}

func TestServerCloses(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string, serve serveFunc) {
		all := newSessions(t, nil)
		c := serve(t, Options{}, all.accept).connect(mode)
		r := all.next()
		r.s.Send(textPacket("last words"), SendOptions{})
		r.s.Close(ReasonForcedClose)
		if r.s.Send(textPacket("too late"), SendOptions{}) {
			t.Error("Send after Close returns true")
		}
		c.wantMessages("last words")
		err := c.end()
		if mode != Polling {
			if code := closeCode(t, err); code != websocket.CloseNoStatusReceived {
				t.Errorf("close code %d, want none", code)
			}
		} else if err != errPeerClosed {
			t.Errorf("session ended by %v, want a close packet", err)
		}
		r.wantClosed(ReasonForcedClose)
		<-r.s.Done()
	})
}

func TestClientCloses(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string, serve serveFunc) {
		all := newSessions(t, nil)
		b := serve(t, Options{}, all.accept)
		c := b.connect(mode)
		c.send(wire.Packet{Type: wire.Close})
		all.next().wantClosed(ReasonTransportClose)
		if err := c.end(); err == nil {
			t.Error("session goes on after a close packet")
		}
	})
	t.Run("close frame", func(t *testing.T) {
		all := newSessions(t, nil)
		c := overTCP(t, Options{}, all.accept).connect(WebSocket)
		c.must(c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4321, "")))
		if code := closeCode(t, c.end()); code != 4321 {
			t.Errorf("close code %d comes back, want 4321", code)
		}
		all.next().wantClosed(ReasonTransportClose)
	})
	t.Run("cut off", func(t *testing.T) {
		all := newSessions(t, nil)
		c := overTCP(t, Options{}, all.accept).connect(WebSocket)
		c.ws.NetConn().Close()
		all.next().wantClosed(ReasonTransportClose)
	})
}

// TestAbortedPoll ends the session when the peer gives up a poll.
func TestAbortedPoll(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{}, all.accept)
	c := b.connect(Polling)
	nc, err := b.dial()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(nc, "GET /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", c.sid)
	r := all.next()
	for !r.s.Writable() {
		time.Sleep(time.Millisecond)
	}
	nc.Close()
	r.wantClosed(ReasonTransportError)
}

// TestPollAfterAbort polls again at once after a poll was given up: the new
// poll may meet the session in any state of its end, and is refused in each.
func TestPollAfterAbort(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{}, all.accept)
	for range 200 {
		c := b.connect(Polling)
		nc, err := b.dial()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(nc, "GET /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", c.sid)
		r := all.next()
		for !r.s.Writable() {
			time.Sleep(10 * time.Microsecond)
		}
		nc.Close()
		if status, body, _, err := c.tryPoll(); status != 400 {
			t.Fatalf("answered %d %s, %v", status, body, err)
		}
		r.wantClosed(ReasonTransportError)
	}
	// One whose client had hung up before, but which comes second.
	c := b.connect(Polling)
	r := all.next()
	answered := make(chan int)
	go func() {
		status, _, _, _ := c.tryPoll()
		answered <- status
	}()
	for !r.s.Writable() {
		time.Sleep(10 * time.Microsecond)
	}
	hungUp, cancel := context.WithCancel(t.Context())
	cancel()
	request := httptest.NewRequestWithContext(hungUp, "GET", "/?EIO=4&transport=polling&sid="+c.sid, nil)
	if err := r.s.serveGet(httptest.NewRecorder(), request, &query{}); err == nil || err.Code != CodeBadRequest {
		t.Errorf("refused as %v", err)
	}
	if status := <-answered; status != 400 {
		t.Errorf("the poll after it was answered %d", status)
	}
	// One that has found the session just before it was gone.
	c = b.connect(Polling)
	s := all.next().s
	s.end(ReasonForcedClose, nil, broken)
	answer := httptest.NewRecorder()
	request = httptest.NewRequest("GET", "/?EIO=4&transport=polling&sid="+c.sid, nil)
	if err := s.serveGet(answer, request, &query{}); err == nil || err.Code != CodeUnknownSession {
		t.Errorf("refused as %v", err)
	}
}

func TestShutdown(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{}, all.accept)
	var wg sync.WaitGroup
	for _, mode := range modes {
		c := b.connect(mode)
		wg.Go(func() {
			if err := c.end(); err == nil {
				t.Error("session goes on after Shutdown")
			}
		})
	}
	if n := b.engine.Clients(); n != 3 {
		t.Errorf("%d clients, want 3", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for range modes {
		defer func(r *recorder) { r.wantClosed(ReasonShutdown) }(all.next())
	}
	// The polling client has a poll waiting, soon or now.
	if err := b.engine.Shutdown(ctx); err != nil {
		t.Errorf("shutting down: %v", err)
	}
	wg.Wait()
	if n := b.engine.Clients(); n != 0 {
		t.Errorf("%d clients after Shutdown", n)
	}
	r, err := b.http.Get(b.url(Polling, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 503 {
		t.Errorf("handshake after Shutdown answered %d, want 503", r.StatusCode)
	}
}

// A client whose poll is answered by a close packet need not come back, and
// python-engineio does not.
func TestShutdownLetsPollersComeBack(t *testing.T) {
	b := overTCP(t, Options{}, newSessions(t, nil).accept)
	c := b.connect(Polling)
	answer := make(chan string, 1)
	go func() {
		r, err := b.http.Get(b.url(Polling, c.sid))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		answer <- string(body)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := b.engine.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != "6" {
		t.Errorf("the poll was answered with %q; want a noop", got)
	}
}

func TestShutdownCutsOff(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{}, all.accept)
	b.connect(Polling)   // never polls again
	b.connect(WebSocket) // never reads again
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.engine.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("Shutdown returns %v", err)
	}
	all.next().wantClosed(ReasonShutdown)
	all.next().wantClosed(ReasonShutdown)
}

// TestChurn has many clients come and go while others broadcast to them, and
// checks that nothing stays behind.
func TestChurn(t *testing.T) {
	clients := 2000
	if testing.Short() {
		clients = 200
	}
	var mu sync.Mutex
	members := make(map[*Socket]bool)
	all := &sessions{t: t, ch: make(chan *recorder, clients), handle: echo}
	b := overTCP(t, Options{}, func(s *Socket) Receiver {
		mu.Lock()
		members[s] = true
		mu.Unlock()
		return all.accept(s)
	})
	stop := make(chan struct{})
	var broadcaster sync.WaitGroup
	broadcaster.Go(func() {
		var batch Batch
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			p := textPacket("broadcast " + strconv.Itoa(i))
			mu.Lock()
			for s := range members {
				s.Send(p, SendOptions{Batch: &batch, Volatile: i%2 == 0})
			}
			mu.Unlock()
			batch.Flush()
		}
	})
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range jobs {
				churn(t, b, i)
			}
		})
	}
	for i := range clients {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	for range clients {
		r := all.next()
		<-r.closed
		mu.Lock()
		delete(members, r.s)
		mu.Unlock()
	}
	close(stop)
	broadcaster.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for b.engine.Clients() > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	if len(b.engine.sessions) != 0 || b.engine.live != 0 || b.engine.beats.next() != nil {
		t.Errorf("left behind: %d sessions, %d sockets", len(b.engine.sessions), b.engine.live)
	}
}

// churn is the life of one client: connect, exchange something, go in one of
// several ways.
func churn(t *testing.T, b *bench, i int) {
	c := b.connect(modes[i%len(modes)])
	word := "word " + strconv.Itoa(i)
	c.say(word)
	for {
		m := c.message()
		if string(m.Data) == word {
			break
		}
		if !strings.HasPrefix(string(m.Data), "broadcast") {
			t.Errorf("client %d received %q", i, m.Data)
		}
	}
	switch {
	case c.ws != nil && i%2 == 0:
		c.ws.NetConn().Close()
	case c.ws != nil:
		c.ws.WriteMessage(websocket.CloseMessage, nil)
		c.ws.NetConn().Close()
	default:
		c.send(wire.Packet{Type: wire.Close})
	}
}
