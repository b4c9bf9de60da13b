package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime/client/engine"
	"server22.local/appliance/test/node"
)

// modes are the ways in which a connection carries messages.
var modes = []struct {
	name    string
	options engine.Options
	ends    string // the transport that it settles on
}{
	{"polling", engine.Options{Transports: []string{engine.Polling}}, engine.Polling},
	{"websocket", engine.Options{Transports: []string{engine.WebSocket}}, engine.WebSocket},
	{"upgrade", engine.Options{Transports: []string{engine.Polling, engine.WebSocket}}, engine.WebSocket},
	{"deflate", engine.Options{Transports: []string{engine.WebSocket}, Compression: true}, engine.WebSocket},
}

// inbox is a Receiver that keeps what it gets.
type inbox chan engine.Message

func (in inbox) Message(m engine.Message) error {
	if string(m.Data) == "refuse me" {
		return errors.New("refused")
	}
	in <- m
	return nil
}

// running is a connection that is being run.
type running struct {
	*engine.Conn
	inbox inbox
	ended chan struct{}
	err   error // why, when it has ended
	abort context.CancelFunc
}

func run(t *testing.T, url string, o engine.Options) *running {
	t.Helper()
	c, err := engine.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Conn: c, inbox: make(inbox, 1000), ended: make(chan struct{}), abort: cancel}
	go func() {
		defer close(r.ended)
		r.err = c.Run(ctx, r.inbox)
	}()
	t.Cleanup(func() { cancel(); <-r.ended })
	return r
}

func (r *running) send(t *testing.T, m engine.Message) {
	t.Helper()
	if err := r.Send(engine.SendOptions{}, m); err != nil {
		t.Fatal(err)
	}
}

func (r *running) next(t *testing.T) engine.Message {
	t.Helper()
	select {
	case m := <-r.inbox:
		return m
	case <-r.ended:
		if len(r.inbox) > 0 { // it came before the end
			return <-r.inbox
		}
		t.Fatalf("connection ended: %v", r.err)
	case <-time.After(20 * time.Second):
		t.Fatal("no message in 20 s")
	}
	return engine.Message{}
}

func (r *running) end(t *testing.T) error {
	t.Helper()
	select {
	case <-r.ended:
		return r.err
	case <-time.After(20 * time.Second):
		t.Fatal("connection did not end in 20 s")
	}
	return nil
}

func nodeServer(t *testing.T, options string) (*node.Script, string) {
	t.Helper()
	server := node.Run(t, "testdata/server.js", options)
	return server, "http://127.0.0.1:" + server.Line(t) + "/engine.io/"
}

func TestNodeEcho(t *testing.T) {
	server, url := nodeServer(t, `{"perMessageDeflate":true}`)
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			c := run(t, url, mode.options)
			large := strings.Repeat("größer ", 20000)
			for _, m := range []engine.Message{
				{Data: []byte("hello")}, {Data: []byte{}}, {Data: []byte("€ \U0001f600")}, {Data: []byte(large)},
				{Data: []byte{0, 1, 2, 255}, Binary: true}, {Data: []byte{}, Binary: true},
				{Data: bytes.Repeat([]byte{7, 30}, 100000), Binary: true},
			} {
				c.send(t, m)
				if got := c.next(t); !bytes.Equal(got.Data, m.Data) || got.Binary != m.Binary {
					t.Fatalf("sent %d bytes (binary %v), got back %d (%v)", len(m.Data), m.Binary, len(got.Data), got.Binary)
				}
			}
			c.Close()
			if err := c.end(t); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("closed connection ended with %v", err)
			}
			if line := server.Line(t); line != "closed transport close" {
				t.Errorf("server saw %q", line)
			}
		})
	}
}

// Messages keep their order while the transport changes under them.
func TestNodeOrder(t *testing.T) {
	_, url := nodeServer(t, `{}`)
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			c := run(t, url, mode.options)
			const count = 2000
			go func() {
				for i := range count {
					c.Send(engine.SendOptions{}, engine.Message{Data: fmt.Append(nil, i), Binary: i%7 == 0})
					if i%100 == 0 {
						time.Sleep(time.Millisecond) // spreads them over the upgrade
					}
				}
			}()
			for i := range count {
				if m := c.next(t); string(m.Data) != fmt.Sprint(i) {
					t.Fatalf("message %d is %q", i, m.Data)
				}
			}
			for c.Transport() != mode.ends {
				c.send(t, engine.Message{Data: []byte("again")})
				c.next(t)
			}
			c.send(t, engine.Message{Data: []byte("transport")})
			if m := c.next(t); string(m.Data) != mode.ends {
				t.Errorf("server thinks of %s, want %s", m.Data, mode.ends)
			}
		})
	}
}

func TestNodeEnds(t *testing.T) {
	_, url := nodeServer(t, `{}`)
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			c := run(t, url, mode.options)
			c.send(t, engine.Message{Data: []byte("close")})
			if err := c.end(t); !errors.Is(err, engine.ErrServerClosed) {
				t.Errorf("server's close: %v", err)
			}
			c = run(t, url, mode.options)
			c.send(t, engine.Message{Data: []byte("refuse me")})
			if err, ok := errors.AsType[*engine.ReceiverError](c.end(t)); !ok {
				t.Errorf("receiver's refusal: %v", err)
			}
			c = run(t, url, mode.options)
			c.abort()
			if err := c.end(t); !errors.Is(err, context.Canceled) {
				t.Errorf("aborted: %v", err)
			}
			if err := c.Send(engine.SendOptions{}, engine.Message{}); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("send after the end: %v", err)
			}
		})
	}
}

// Everything queued before Close arrives.
func TestNodeCloseDrains(t *testing.T) {
	server, url := nodeServer(t, `{"maxHttpBufferSize": 2000}`)
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			c := run(t, url, mode.options)
			for range 50 {
				c.send(t, engine.Message{Data: bytes.Repeat([]byte{'x'}, 500)})
			}
			c.send(t, engine.Message{Data: []byte("close")})
			c.Close()
			c.end(t)
			if line := server.Line(t); line != "closed forced close" && line != "closed transport close" {
				t.Errorf("server saw %q", line)
			}
		})
	}
}

func TestNodeHeartbeat(t *testing.T) {
	// The server waits long for an answer, and pings again after it only: how
	// fast the machine is does not matter.
	server, url := nodeServer(t, `{"pingInterval":20,"pingTimeout":20000,"heartbeats":true}`)
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			c := run(t, url, mode.options)
			for range 10 {
				if line := server.Line(t); line != "heartbeat" {
					t.Fatalf("server: %s", line)
				}
			}
			c.Close()
			c.end(t)
			for server.Line(t) == "heartbeat" { // until it has seen the end
			}
		})
	}
}

func TestNodeTooLarge(t *testing.T) {
	_, url := nodeServer(t, `{"maxHttpBufferSize": 1000}`)
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			c := run(t, url, mode.options)
			for _, binary := range []bool{false, true} {
				err := c.Send(engine.SendOptions{}, engine.Message{Data: make([]byte, 1001), Binary: binary})
				if large, ok := errors.AsType[*engine.TooLargeError](err); !ok || large.Limit != 1000 {
					t.Errorf("sending 1001 bytes, binary %v: %v", binary, err)
				}
			}
			c.send(t, engine.Message{Data: bytes.Repeat([]byte{'x'}, 999)})
			if m := c.next(t); len(m.Data) != 999 {
				t.Errorf("got %d bytes back", len(m.Data))
			}
		})
	}
}

func TestNodeRefusal(t *testing.T) {
	_, url := nodeServer(t, `{"transports":["polling"]}`)
	_, err := engine.Dial(t.Context(), url, engine.Options{Transports: []string{engine.WebSocket}})
	if refused, ok := errors.AsType[*engine.HTTPError](err); !ok || refused.Status != 400 {
		t.Errorf("refused websocket: %v", err)
	}
	c := run(t, url, engine.Options{}) // falls back
	if c.Transport() != engine.Polling {
		t.Errorf("fell back to %s", c.Transport())
	}
	c.send(t, engine.Message{Data: []byte("hello")})
	c.next(t)
}
