package engineio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"server22.local/appliance/realtime/engineio/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipeListener is a listener in memory, whose connections have no descriptor;
// it works inside of synctest bubbles.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *pipeListener) dial() (net.Conn, error) {
	server, client := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// bench is a server with its listener, and clients for it.
type bench struct {
	t      testing.TB
	engine *Server
	http   *http.Client
	dial   func() (net.Conn, error)
	query  string // added to every request
	eio    wire.Version
}

// overTCP serves on a loopback socket.
func overTCP(t testing.TB, o Options, accept func(*Socket) Receiver) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, l, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }, o, accept)
}

// overPipes serves in memory.
func overPipes(t testing.TB, o Options, accept func(*Socket) Receiver) *bench {
	t.Helper()
	l := newPipeListener()
	return serve(t, l, l.dial, o, accept)
}

func serve(t testing.TB, l net.Listener, dial func() (net.Conn, error), o Options, accept func(*Socket) Receiver) *bench {
	t.Helper()
	b := &bench{t: t, engine: NewServer(o, accept), dial: dial, eio: wire.V4}
	server := &http.Server{Handler: b.engine, ReadHeaderTimeout: time.Minute}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() }}
	b.http = &http.Client{Transport: transport}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		b.engine.Close()
		server.Close()
		transport.CloseIdleConnections()
		<-served
	})
	return b
}

func (b *bench) url(transport, sid string) string {
	u := fmt.Sprintf("://server/engine.io/?EIO=%d&transport=%s%s", b.eio, transport, b.query)
	if sid != "" {
		u += "&sid=" + sid
	}
	if transport == WebSocket {
		return "ws" + u
	}
	return "http" + u
}

// client speaks the protocol, in the form that its transport asks for.
type client struct {
	*bench
	sid     string
	open    openData
	ws      *websocket.Conn
	backlog []wire.Packet
}

type openData struct {
	SID          string
	Upgrades     []string
	PingInterval int
	PingTimeout  int
	MaxPayload   int
}

// modes are the ways to a session, over which behaviour must be the same.
var modes = []string{Polling, WebSocket, "upgrade"}

// connect opens a session in one of the modes.
func (b *bench) connect(mode string) *client {
	b.t.Helper()
	c := &client{bench: b}
	if mode == WebSocket {
		c.ws = b.dialWebSocket("")
	}
	p := c.next()
	if p.Type != wire.Open {
		b.t.Fatalf("first packet is %v, want open", p)
	}
	if err := json.Unmarshal(p.Data, &c.open); err != nil {
		b.t.Fatalf("open packet %q: %v", p.Data, err)
	}
	c.sid = c.open.SID
	if mode == "upgrade" {
		c.upgrade()
	}
	return c
}

func (b *bench) dialWebSocket(sid string) *websocket.Conn {
	b.t.Helper()
	ws, err := b.tryWebSocket(sid, nil)
	if err != nil {
		b.t.Fatalf("dialling: %v", err)
	}
	return ws
}

func (b *bench) tryWebSocket(sid string, h http.Header) (*websocket.Conn, error) {
	d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return b.dial() }}
	ws, _, err := d.Dial(b.url(WebSocket, sid), h)
	if err == nil {
		b.t.Cleanup(func() { ws.Close() })
	}
	return ws, err
}

// upgrade moves the session to a WebSocket as official clients do.
func (c *client) upgrade() {
	c.t.Helper()
	ws := c.dialWebSocket(c.sid)
	c.must(ws.WriteMessage(websocket.TextMessage, []byte("2probe")))
	if _, answer, err := ws.ReadMessage(); err != nil || string(answer) != "3probe" {
		c.t.Fatalf("answer to the probe: %q, %v", answer, err)
	}
	c.must(ws.WriteMessage(websocket.TextMessage, []byte("5")))
	c.ws = ws
}

func (c *client) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next packet.
func (c *client) next() wire.Packet {
	c.t.Helper()
	p, err := c.tryNext()
	if err != nil {
		c.t.Fatalf("reading: %v", err)
	}
	return p
}

func (c *client) tryNext() (wire.Packet, error) {
	if len(c.backlog) == 0 {
		if err := c.fill(); err != nil {
			return wire.Packet{}, err
		}
	}
	p := c.backlog[0]
	c.backlog = c.backlog[1:]
	return p, nil
}

// fill reads one WebSocket message or one answer to a poll.
func (c *client) fill() error {
	if c.ws != nil {
		op, data, err := c.ws.ReadMessage()
		if err != nil {
			return err
		}
		p, err := wire.ParseFrame(c.eio, op == websocket.BinaryMessage, data)
		c.backlog = append(c.backlog, p)
		return err
	}
	status, body, contentType, err := c.tryPoll()
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("poll answered %d %s", status, body)
	}
	packets := wire.Payload4(body)
	if c.eio == wire.V3 {
		packets = wire.Payload3(body)
		if contentType == "application/octet-stream" {
			packets = wire.BinaryPayload3(body)
		}
	}
	for p, err := range packets {
		if err != nil {
			return fmt.Errorf("payload %q: %w", body, err)
		}
		c.backlog = append(c.backlog, p)
	}
	return nil
}

func (c *client) tryPoll() (status int, body []byte, contentType string, err error) {
	r, err := c.http.Get(c.url(Polling, c.sid))
	if err != nil {
		return 0, nil, "", err
	}
	defer r.Body.Close()
	body, err = io.ReadAll(r.Body)
	return r.StatusCode, body, r.Header.Get("Content-Type"), err
}

// message returns the next message and answers heartbeats before it.
func (c *client) message() Message {
	c.t.Helper()
	for {
		p := c.next()
		switch p.Type {
		case wire.Message:
			return Message{Data: p.Data, Binary: p.Binary}
		case wire.Ping:
			c.send(wire.Packet{Type: wire.Pong})
		case wire.Noop:
		default:
			c.t.Fatalf("packet %v %q instead of a message", p.Type, p.Data)
		}
	}
}

// end reads until the session is over and returns how it ended.
func (c *client) end() error {
	for {
		p, err := c.tryNext()
		if err != nil {
			return err
		}
		if p.Type == wire.Close {
			return errPeerClosed
		}
	}
}

func (c *client) send(packets ...wire.Packet) {
	c.t.Helper()
	c.must(c.trySend(packets...))
}

func (c *client) trySend(packets ...wire.Packet) error {
	if c.ws != nil {
		for _, p := range packets {
			op := websocket.TextMessage
			if p.Binary {
				op = websocket.BinaryMessage
			}
			if err := c.ws.WriteMessage(op, wire.AppendFrame(nil, c.eio, p)); err != nil {
				return err
			}
		}
		return nil
	}
	var body []byte
	for _, p := range packets {
		if c.eio == wire.V3 {
			body = wire.AppendPayload3(body, p)
		} else {
			body = wire.AppendPayload4(body, p)
		}
	}
	status, answer, err := c.post("text/plain;charset=UTF-8", bytes.NewReader(body))
	if err == nil && (status != http.StatusOK || answer != "ok") {
		err = fmt.Errorf("post answered %d %s", status, answer)
	}
	return err
}

func (c *client) post(contentType string, body io.Reader) (status int, answer string, err error) {
	r, err := c.http.Post(c.url(Polling, c.sid), contentType, body)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, string(text), err
}

func (c *client) say(text string) {
	c.t.Helper()
	c.send(wire.Packet{Type: wire.Message, Data: []byte(text)})
}

// wantMessages checks the next messages, all of them text.
func (c *client) wantMessages(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if m := c.message(); string(m.Data) != w || m.Binary {
			c.t.Fatalf("got %q (binary: %t), want %q", m.Data, m.Binary, w)
		}
	}
}

// recorder is a Receiver that keeps what it is told, and checks the promises
// that are made to every receiver.
type recorder struct {
	t       testing.TB
	s       *Socket
	handle  func(*Socket, Message) // may be nil
	running sync.Mutex

	mu       sync.Mutex // guards all following
	messages []Message
	reason   Reason
	err      error
	closed   chan struct{}
}

func newRecorder(t testing.TB, s *Socket) *recorder {
	return &recorder{t: t, s: s, closed: make(chan struct{})}
}

func (r *recorder) Message(m Message) {
	if !r.running.TryLock() {
		r.t.Error("two calls of the receiver at once")
		return
	}
	defer r.running.Unlock()
	select {
	case <-r.closed:
		r.t.Error("Message after Closed")
	default:
	}
	r.mu.Lock()
	r.messages = append(r.messages, Message{Data: bytes.Clone(m.Data), Binary: m.Binary})
	r.mu.Unlock()
	if r.handle != nil {
		r.handle(r.s, m)
	}
}

func (r *recorder) Closed(reason Reason, err error) {
	if !r.running.TryLock() {
		r.t.Error("Closed while Message runs")
		return
	}
	defer r.running.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason != "" {
		r.t.Errorf("closed twice: %s, %s", r.reason, reason)
		return
	}
	r.reason, r.err = reason, err
	close(r.closed)
}

// wantClosed waits for the end and checks its reason.
func (r *recorder) wantClosed(want ...Reason) {
	r.t.Helper()
	<-r.closed
	if !slices.Contains(want, r.reason) {
		r.t.Errorf("closed as %q (%v), want %q", r.reason, r.err, want)
	}
}

// sessions makes recorders for accepted sockets and hands them to the test.
type sessions struct {
	t      testing.TB
	handle func(*Socket, Message)
	ch     chan *recorder
}

func newSessions(t testing.TB, handle func(*Socket, Message)) *sessions {
	return &sessions{t: t, handle: handle, ch: make(chan *recorder, 4096)}
}

func (s *sessions) accept(socket *Socket) Receiver {
	r := newRecorder(s.t, socket)
	r.handle = s.handle
	s.ch <- r
	return r
}

func (s *sessions) next() *recorder { return <-s.ch }

// echo sends a message back.
func echo(s *Socket, m Message) {
	if !m.Owned {
		m.Data = bytes.Clone(m.Data)
	}
	s.Send(NewPacket(m), SendOptions{})
}

func textPacket(text string) *Packet { return NewPacket(Message{Data: []byte(text)}) }

// closeCode is the code of the close frame that err stands for.
func closeCode(t testing.TB, err error) int {
	t.Helper()
	e, ok := errors.AsType[*websocket.CloseError](err)
	if !ok {
		t.Fatalf("connection ended by %v, want a close frame", err)
	}
	return e.Code
}

// inEachMode runs a test over every mode and both kinds of connections.
func inEachMode(t *testing.T, run func(t *testing.T, mode string, serve func(testing.TB, Options, func(*Socket) Receiver) *bench)) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) { run(t, mode, overTCP) })
		t.Run(strings.Join([]string{mode, "in memory"}, " "), func(t *testing.T) { run(t, mode, overPipes) })
	}
}
