package client_test

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/packet"
	"server22.local/appliance/test/node"
)

// backend is a running server with the events of testdata/server.js.
type backend struct {
	name   string
	url    string
	parser packet.Parser
	crash  func(t *testing.T) // ends it without a word, and frees its port
}

// setup says what server a test wants.
type setup struct {
	parser   packet.Parser
	recovery bool
	port     string // rather than any
	file     string // outlives the server, with what it was to store
}

func startNode(t *testing.T, want setup) backend {
	t.Helper()
	options, err := json.Marshal(map[string]any{
		"msgpack": want.parser.Name() == "msgpack", "recovery": want.recovery, "port": want.port,
		"file":   want.file,
		"server": map[string]any{"pingInterval": 2000, "pingTimeout": 2000},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := node.Run(t, "testdata/server.js", string(options))
	return backend{name: "node", url: "http://127.0.0.1:" + server.Line(t), parser: want.parser, crash: func(t *testing.T) { server.Kill(t) }}
}

// backends are the servers that every behaviour is tested with.
var backends = []struct {
	name  string
	start func(*testing.T, setup) backend
}{
	{"ours", startOurs},
	{"node", startNode},
}

var parsers = []packet.Parser{packet.JSON, packet.MessagePack}

var transports = []struct {
	name string
	list []string
}{
	{"polling", []string{client.Polling}},
	{"websocket", []string{client.WebSocket}},
	{"upgrade", []string{client.Polling, client.WebSocket}},
}

// world is one cell of the matrix: a server, and how to reach it.
type world struct {
	backend
	transports []string
	net        *cable
}

// everywhere runs the behaviours with every server, parser and transport.
func everywhere(t *testing.T, want setup, behaviours map[string]func(*testing.T, world)) {
	for _, b := range backends {
		for _, parser := range parsers {
			t.Run(b.name+"/"+parser.Name(), func(t *testing.T) {
				t.Parallel()
				want := want
				want.parser = parser
				running := b.start(t, want)
				for _, transport := range transports {
					for name, behave := range behaviours {
						t.Run(transport.name+"/"+name, func(t *testing.T) {
							behave(t, world{backend: running, transports: transport.list, net: new(cable)})
						})
					}
				}
			})
		}
	}
}

// options are those that lead into the world. Reconnecting is quick.
func (w world) options() client.Options {
	return client.Options{
		Parser: w.parser, Transports: w.transports, DialContext: w.net.dial,
		ReconnectDelay: 10 * time.Millisecond, ReconnectDelayMax: 100 * time.Millisecond,
	}
}

func (w world) client(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(w.url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// connect runs the client until the end of the test.
func connect(t *testing.T, c *client.Client) {
	t.Helper()
	if err := c.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); c.Wait() })
}

// socket is connected to a namespace.
func (w world) socket(t *testing.T, namespace string) *client.Socket {
	t.Helper()
	c := w.client(t, w.options())
	s := c.Of(namespace)
	connect(t, c)
	return s
}

// soon ends long after everything that a test waits for should have happened.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// next returns what comes through a channel.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %T in 20 s", *new(T))
	}
	panic("unreachable")
}

func ask[R any](t *testing.T, s client.Emitter, event string, args ...any) R {
	t.Helper()
	r, err := client.Ask[R](soon(t), s, event, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func emit(t *testing.T, s client.Emitter, event string, args ...any) {
	t.Helper()
	if err := s.Emit(event, args...); err != nil {
		t.Fatal(err)
	}
}

// cable is a network that can be cut.
type cable struct {
	mu     sync.Mutex // guards all following fields
	conns  map[net.Conn]bool
	broken bool
}

func (c *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	if broken {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns == nil {
		c.conns = map[net.Conn]bool{}
	}
	c.conns[conn] = true
	return conn, nil
}

// cut ends all connections as a pulled plug does, and lets nobody connect
// until it is mended.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = false
}
