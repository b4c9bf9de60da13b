package engineio

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/wire"
)

// masked makes a frame of a client; bits are the first byte.
func masked(bits byte, payload string) []byte {
	f := []byte{bits}
	switch n := len(payload); {
	case n < 126:
		f = append(f, 0x80|byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 0x80|126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 0x80|127), uint64(n))
	}
	key := []byte{1, 2, 3, 4}
	f = append(f, key...)
	for i := range len(payload) {
		f = append(f, payload[i]^key[i%4])
	}
	return f
}

// TestProtocolViolations sends what RFC 6455 forbids and looks at the code of
// the close frame.
func TestProtocolViolations(t *testing.T) {
	for name, tt := range map[string]struct {
		bytes []byte
		code  int
	}{
		"unmasked":                   {[]byte("\x81\x024x"), 1002},
		"reserved bit":               {masked(0xc1, "4x"), 1002},
		"unknown opcode":             {masked(0x83, "4x"), 1002},
		"fragmented ping":            {masked(0x09, "x"), 1002},
		"long ping":                  {masked(0x89, strings.Repeat("x", 126)), 1002},
		"continuation of nothing":    {masked(0x80, "4x"), 1002},
		"message within a message":   {append(masked(0x01, "4x"), masked(0x81, "4y")...), 1002},
		"length not shortest":        {[]byte("\x81\xfe\x00\x02\x00\x00\x00\x004x"), 1002},
		"invalid UTF-8":              {masked(0x81, "4\xc3\x28"), 1007},
		"UTF-8 invalid across":       {append(masked(0x01, "4\xe2\x82"), masked(0x80, "x")...), 1007},
		"too big":                    {masked(0x81, strings.Repeat("x", 2001)), 1009},
		"too big, only announced":    {[]byte("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), 1009},
		"negative length":            {[]byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), 1009},
		"too big in fragments":       {append(masked(0x01, strings.Repeat("x", 1500)), masked(0x80, strings.Repeat("x", 1500))...), 1009},
		"close with one byte":        {masked(0x88, "x"), 1002},
		"close with a reserved code": {masked(0x88, "\x03\xed"), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			all := newSessions(t, nil)
			c := overTCP(t, Options{MaxPayload: 2000}, all.accept).connect(WebSocket)
			if _, err := c.ws.NetConn().Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			if code := closeCode(t, c.end()); code != tt.code {
				t.Errorf("close code %d, want %d", code, tt.code)
			}
			all.next().wantClosed(ReasonTransportError)
		})
	}
}

// TestFrames sends messages in unusual but lawful ways, in one write and a
// byte at a time.
func TestFrames(t *testing.T) {
	long := strings.Repeat("0123456789", 300)
	stream := bytes.Join([][]byte{
		masked(0x81, "4one"),
		masked(0x01, "4t"), masked(0x89, "ping amid"), masked(0x00, ""), masked(0x80, "wo"),
		masked(0x8a, "pong nobody asked for"),
		masked(0x01, "4"+long), masked(0x80, "€"),
		masked(0x02, ""), masked(0x80, "bin"),
		masked(0x01, "4\xe2\x82"), masked(0x80, "\xac"),
	}, nil)
	want := []string{"one", "two", long + "€", "bin", "€"}
	for _, step := range []int{len(stream), 1, 7, 1000} {
		all := newSessions(t, echo)
		c := overTCP(t, Options{}, all.accept).connect(WebSocket)
		var pong string
		c.ws.SetPongHandler(func(s string) error { pong = s; return nil })
		go func() {
			for rest := stream; len(rest) > 0; {
				n := min(step, len(rest))
				c.ws.NetConn().Write(rest[:n])
				rest = rest[n:]
			}
		}()
		for _, w := range want {
			if m := c.message(); string(m.Data) != w || m.Binary != (w == "bin") {
				t.Errorf("steps of %d: %d bytes, want %d", step, len(m.Data), len(w))
			}
		}
		if pong != "ping amid" {
			t.Errorf("steps of %d: pong %q", step, pong)
		}
	}
}

// TestAnswerToUpgrade: the example of RFC 6455 §1.3, and what the application
// adds to the answer.
func TestAnswerToUpgrade(t *testing.T) {
	plain := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	r := httptest.NewRequest("GET", "/engine.io/", nil)
	if got := string(NewServer(Options{}, nil).answer(r, "id", key, false)); got != plain+"\r\n" {
		t.Errorf("answer:\n%s", got)
	}
	r.Header.Set("Sec-WebSocket-Protocol", "chat, superchat")
	s := NewServer(Options{
		Cookie:  &Cookie{},
		Headers: func(h http.Header, _ *http.Request, _ bool) { h.Set("X-Odd", "a\r\nSet-Cookie: b") },
	}, nil)
	want := plain +
		"Sec-Websocket-Protocol: chat\r\nSet-Cookie: io=id; Path=/; HttpOnly; SameSite=Lax\r\nX-Odd: a  Set-Cookie: b\r\n\r\n"
	if got := string(s.answer(r, "id", key, false)); got != want {
		t.Errorf("answer:\n%s\nwant:\n%s", got, want)
	}
}

func TestDeflateOffers(t *testing.T) {
	for offer, want := range map[string]bool{
		"permessage-deflate":                                               true,
		"permessage-deflate; client_max_window_bits":                       true,
		"x-webkit-deflate-frame, permessage-deflate":                       true,
		"permessage-deflate; server_no_context_takeover":                   true,
		"permessage-deflate; server_max_window_bits=15":                    true,
		"permessage-deflate; server_max_window_bits=10":                    false,
		"permessage-deflate; server_max_window_bits=10,permessage-deflate": true,
		"permessage-deflate; novelty":                                      false,
		"permessage-bzip2":                                                 false,
	} {
		r := httptest.NewRequest("GET", "/engine.io/", nil)
		r.Header.Set("Sec-WebSocket-Extensions", offer)
		if got := offersDeflate(r); got != want {
			t.Errorf("%s: %v, want %v", offer, got, want)
		}
	}
}

func TestPerMessageDeflate(t *testing.T) {
	o := Options{Compression: Compression{PerMessageDeflate: true}}
	b := overTCP(t, o, newSessions(t, echo).accept)
	d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return b.dial() }, EnableCompression: true}
	ws, answer, err := d.Dial(b.url(WebSocket, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if ext := answer.Header.Get("Sec-Websocket-Extensions"); !strings.Contains(ext, "permessage-deflate") {
		t.Fatalf("extensions %q", ext)
	}
	c := &client{bench: b, ws: ws}
	c.next()
	for _, text := range []string{"short", strings.Repeat("long and compressible ", 1000)} {
		c.say(text)
		c.wantMessages(text)
	}
	// A bomb: 10 MB in 10 KB.
	if err := ws.WriteMessage(websocket.BinaryMessage, make([]byte, 10<<20)); err != nil {
		t.Fatal(err)
	}
	if code := closeCode(t, c.end()); code != 1009 {
		t.Errorf("close code %d, want 1009", code)
	}
}

// TestTLS uses connections that have a descriptor but must not be written to
// past their encryption.
func TestTLS(t *testing.T) {
	all := newSessions(t, echo)
	engine := NewServer(Options{}, all.accept)
	server := httptest.NewTLSServer(engine)
	defer server.Close()
	defer engine.Close()
	b := &bench{t: t, engine: engine, eio: wire.V4, dial: func() (net.Conn, error) {
		return tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	}}
	b.http = server.Client()
	b.http.Transport.(*http.Transport).DialTLSContext = func(context.Context, string, string) (net.Conn, error) { return b.dial() }
	c := b.connect(WebSocket)
	for range 50 {
		large := strings.Repeat("x", 30_000)
		c.say("small")
		c.say(large)
		c.wantMessages("small", large)
	}
	c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
	if code := closeCode(t, c.end()); code != 1000 {
		t.Errorf("close code %d", code)
	}
	all.next().wantClosed(ReasonTransportClose)
	b.http.CloseIdleConnections()
}

// TestCandidates has WebSockets that do not take over.
func TestCandidates(t *testing.T) {
	all := newSessions(t, echo)
	b := overTCP(t, Options{}, all.accept)
	c := b.connect(Polling)
	for _, first := range []string{"2nope", "4too early", "x", "1"} {
		ws := c.dialWebSocket(c.sid)
		ws.WriteMessage(websocket.TextMessage, []byte(first))
		if _, _, err := ws.ReadMessage(); err == nil {
			t.Errorf("candidate goes on after %q", first)
		}
		ws.Close()
		for s := b.engine.session(c.sid); ; time.Sleep(time.Millisecond) {
			s.mu.Lock()
			candidate := s.candidate
			s.mu.Unlock()
			if candidate == nil {
				break
			}
		}
		c.say("polling goes on")
		c.wantMessages("polling goes on")
	}
	// A second candidate is closed; the first one takes over without a probe.
	first := c.dialWebSocket(c.sid)
	second := c.dialWebSocket(c.sid)
	if _, _, err := second.ReadMessage(); err == nil {
		t.Error("second candidate goes on")
	}
	first.WriteMessage(websocket.TextMessage, []byte("5"))
	c.ws = first
	c.say("by websocket")
	c.wantMessages("by websocket")
	third := c.dialWebSocket(c.sid)
	if _, _, err := third.ReadMessage(); err == nil {
		t.Error("candidate for an upgraded session goes on")
	}
	// A second upgrade packet is nothing to a WebSocket.
	c.send(wire.Packet{Type: wire.Upgrade})
	c.say("still here")
	c.wantMessages("still here")
}

// stalled opens a WebSocket that does not read, with little room in the
// kernel.
func stalled(t testing.TB, b *bench) *client {
	c := b.connect(WebSocket)
	if tcp, ok := c.ws.NetConn().(*net.TCPConn); ok {
		tcp.SetReadBuffer(4 << 10)
	}
	return c
}

// TestSlowClient fills the queue of a client that does not read: volatile
// packets go first, then the client, and the memory is bounded.
func TestSlowClient(t *testing.T) {
	for _, serve := range []serveFunc{overTCP, overPipes} {
		const limit = 1 << 20
		dropped := make(chan *Packet, 1<<16)
		o := Options{Queue: Queue{Bytes: limit}, Hooks: Hooks{Dropped: func(_ *Socket, p *Packet) { dropped <- p }}}
		all := newSessions(t, nil)
		b := serve(t, o, all.accept)
		slow, quick := stalled(t, b), b.connect(WebSocket)
		r, other := all.next(), all.next()
		p := NewPacket(Message{Data: bytes.Repeat([]byte("x"), 10_000)})
		for r.s.Writable() {
			r.s.Send(p, SendOptions{})
			time.Sleep(10 * time.Microsecond)
		}
		if r.s.Send(p, SendOptions{Volatile: true}) {
			t.Error("volatile packet queued for a client that does not read")
		}
		if got := <-dropped; got != p {
			t.Error("hook saw another packet")
		}
		for r.s.Send(p, SendOptions{}) {
			if n := r.s.QueuedBytes(); n > limit {
				t.Fatalf("%d bytes queued, limit %d", n, limit)
			}
		}
		r.wantClosed(ReasonQueueFull)
		if r.s.QueuedBytes() > limit {
			t.Errorf("%d bytes kept", r.s.QueuedBytes())
		}
		other.s.Send(textPacket("not held up"), SendOptions{})
		quick.wantMessages("not held up")
		slow.ws.NetConn().Close()
	}
}

func TestQueueDropsNewest(t *testing.T) {
	all := newSessions(t, nil)
	b := overPipes(t, Options{Queue: Queue{Bytes: 1000, DropNewest: true}}, all.accept)
	c := b.connect(Polling)
	s := all.next().s
	if !s.Send(NewPacket(Message{Data: make([]byte, 5000)}), SendOptions{}) {
		t.Error("a large packet does not pass an empty queue")
	}
	if s.Send(textPacket("one too many"), SendOptions{}) {
		t.Error("the queue grows beyond its limit")
	}
	c.message()
	s.Send(textPacket("again"), SendOptions{})
	c.wantMessages("again")
}

// TestVolatilePurge lets waiting volatile packets make room.
func TestVolatilePurge(t *testing.T) {
	s := &Socket{server: NewServer(Options{Queue: Queue{Bytes: 100}}, nil)}
	s.poll = &poll{ready: make(chan struct{}, 1)}
	s.corks, s.late = 1, true // nobody flushes
	for _, volatile := range []bool{true, false, true} {
		s.Send(textPacket(strings.Repeat("x", 20)), SendOptions{Volatile: volatile})
	}
	if !s.Send(textPacket(strings.Repeat("y", 40)), SendOptions{}) || len(s.queue) != 2 {
		t.Errorf("%d packets queued, want the two that are not volatile", len(s.queue))
	}
}

// TestReadsAfterSlowDrain lets a slow client catch up: everything arrives, in
// order.
func TestReadsAfterSlowDrain(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{Queue: Queue{Bytes: 64 << 20}}, all.accept)
	c := b.connect(WebSocket)
	s := all.next().s
	const n = 500
	for i := range n {
		data := bytes.Repeat([]byte{byte(i)}, 20_000+i)
		if !s.Send(NewPacket(Message{Data: data, Binary: true}, Message{Data: []byte("small")}), SendOptions{}) {
			t.Fatal("dropped")
		}
	}
	for i := range n {
		m := c.message()
		if len(m.Data) != 20_000+i || m.Data[0] != byte(i) || m.Data[len(m.Data)-1] != byte(i) {
			t.Fatalf("packet %d: %d bytes", i, len(m.Data))
		}
		c.wantMessages("small")
	}
	for !s.Writable() || s.QueuedBytes() != 0 {
		time.Sleep(time.Millisecond)
	}
}

// TestGracefulCloseOfSlowClient ends at last though the client never reads.
func TestGracefulCloseOfSlowClient(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{}, all.accept)
	stalled(t, b)
	r := all.next()
	p := NewPacket(Message{Data: make([]byte, 100_000), Binary: true})
	for r.s.Writable() {
		r.s.Send(p, SendOptions{})
		time.Sleep(time.Millisecond)
	}
	r.s.Close(ReasonForcedClose)
	r.wantClosed(ReasonForcedClose)
	b.engine.Close()
	for b.engine.Clients() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// breakable is a listener whose connections can be told to fail.
type breakable struct {
	*pipeListener
	broken *atomic.Bool
}

func (l breakable) Accept() (net.Conn, error) {
	c, err := l.pipeListener.Accept()
	return breakableConn{c, l.broken}, err
}

type breakableConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c breakableConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

func TestWriteErrorEndsSession(t *testing.T) {
	all := newSessions(t, nil)
	l := breakable{newPipeListener(), new(atomic.Bool)}
	b := serve(t, l, l.dial, Options{}, all.accept)
	b.connect(WebSocket)
	r := all.next()
	l.broken.Store(true)
	r.s.Send(textPacket("into the void"), SendOptions{})
	r.wantClosed(ReasonTransportError)
	if !errors.Is(r.err, io.ErrClosedPipe) {
		t.Errorf("ended by %v", r.err)
	}
}

// TestFanOutAllocates nothing for a receiver.
func TestFanOutAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const receivers = 100
	all := newSessions(t, nil)
	b := overTCP(t, Options{}, all.accept)
	var sockets []*Socket
	for range receivers {
		c := b.connect(WebSocket)
		go io.Copy(io.Discard, c.ws.NetConn())
		sockets = append(sockets, all.next().s)
	}
	var batch Batch
	p := textPacket("to all")
	allocs := testing.AllocsPerRun(200, func() {
		for range 4 { // so that some of it queues up
			for _, s := range sockets {
				s.Send(p, SendOptions{Batch: &batch})
			}
		}
		batch.Flush()
		for _, s := range sockets {
			for s.QueuedBytes() > 0 {
				time.Sleep(10 * time.Microsecond)
			}
		}
	})
	if perReceiver := allocs / receivers; perReceiver > 0.1 {
		t.Errorf("%.2f allocations a receiver", perReceiver)
	}
}
