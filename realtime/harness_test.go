package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/realtime/client/engine"
	"server22.local/appliance/realtime/packet"
	"server22.local/appliance/test/node"
)

// The harness runs every rule of the server with the clients of all worlds:
// the official one and ours, in JSON and MessagePack, by polling, WebSocket and
// from the one to the other. A rule speaks and hears the frames of the JSON
// parser, whatever the world makes of them.

// world is one kind of client.
type world struct {
	dial func(t *testing.T, url string) *peer
}

// peer is a client that is led frame by frame.
type peer struct {
	t    *testing.T
	say  func(frame string)
	hear func() (frame string) // the next one, or what ended the connection
	end  func()                // closes the connection, and says nothing to namespaces
}

// everywhere runs rules in all worlds.
func everywhere(t *testing.T, rules map[string]func(*testing.T, world)) {
	for _, transport := range transports {
		for _, parser := range []packet.Parser{packet.JSON, packet.MessagePack} {
			for client, start := range clients {
				t.Run(transport+"/"+parser.Name()+"/"+client, func(t *testing.T) {
					t.Parallel()
					list := []string{transport}
					if transport == "upgrade" {
						list = []string{"polling", "websocket"}
					}
					w := start(t, list, parser)
					for name, rule := range rules {
						t.Run(name, func(t *testing.T) { rule(t, w) })
					}
				})
			}
		}
	}
}

var clients = map[string]func(t *testing.T, transports []string, parser packet.Parser) world{"official": official, "ours": ours}

// patience is how long a peer waits for a frame.
const patience = 20 * time.Second

// next returns what comes from a channel that is closed after the reason for
// which the connection was.
func next(heard <-chan string) string {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case frame, ok := <-heard:
		if !ok {
			return "closed before"
		}
		return frame
	case <-late.C:
		return "nothing"
	}
}

func (c *peer) expect(want string) {
	c.t.Helper()
	if got := c.hear(); got != want {
		c.t.Fatalf("got %s, want %s", got, want)
	}
}

// connect joins the main namespace.
func (c *peer) connect() *peer {
	c.t.Helper()
	c.say("40")
	c.greeting()
	return c
}

// greeting reads the server's CONNECT.
func (c *peer) greeting() (sid, pid string) {
	c.t.Helper()
	text := c.hear()
	var ids struct{ SID, PID string }
	if !strings.HasPrefix(text, "40") || json.Unmarshal([]byte(text[2:]), &ids) != nil {
		c.t.Fatalf("greeted with %s", text)
	}
	return ids.SID, ids.PID
}

// offset reads an event that begins so and ends with an offset.
func (c *peer) offset(prefix string) string {
	c.t.Helper()
	text := c.hear()
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		c.t.Fatalf("got %s, want %s", text, prefix)
	}
	return strings.TrimSuffix(rest, `"]`)
}

// leave ends the connection, and returns when it has ended.
func (c *peer) leave() {
	c.end()
	for heard := ""; !strings.HasPrefix(heard, "closed"); heard = c.hear() {
		if heard == "nothing" {
			c.t.Error("a connection does not end")
			return
		}
	}
}

// ours are clients of package client/engine and package packet.
func ours(_ *testing.T, transports []string, parser packet.Parser) world {
	return world{func(t *testing.T, url string) *peer {
		t.Helper()
		conn, err := engine.Dial(t.Context(), url+"/socket.io/", engine.Options{Transports: transports})
		if err != nil {
			t.Fatal(err)
		}
		d := &dialect{parser: parser, heard: make(chan string, 1<<16), in: parser.NewDecoder(packet.Limits{}), out: packet.JSON.NewDecoder(packet.Limits{})}
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		var running sync.WaitGroup
		running.Go(func() {
			defer close(d.heard)
			err := conn.Run(ctx, d)
			d.heard <- fmt.Sprint("closed: ", err)
		})
		p := &peer{t: t, end: conn.Close, hear: func() string { return next(d.heard) }}
		p.say = func(frame string) {
			_ = conn.Send(engine.SendOptions{}, d.encode(frame)...) // hear tells that it is closed
		}
		t.Cleanup(func() {
			p.leave()
			cancel()
			running.Wait()
		})
		return p
	}}
}

// dialect translates between frames of the JSON parser and those of another one.
type dialect struct {
	parser  packet.Parser
	heard   chan string
	in, out packet.Decoder
}

// encode leaves what is no packet as it is.
func (k *dialect) encode(frame string) (messages []engine.Message) {
	text := packet.Frame{Data: []byte(frame)[1:]}
	frames := []packet.Frame{text}
	if k.parser != packet.JSON {
		if p, err := k.out.Decode(text); err == nil {
			frames, _ = k.parser.Encode(nil, p)
		}
	}
	for _, f := range frames {
		messages = append(messages, engine.Message{Data: f.Data, Binary: f.Binary})
	}
	return messages
}

// Message implements engine.Receiver.
func (k *dialect) Message(m engine.Message) error {
	frames := []packet.Frame{{Data: m.Data, Binary: m.Binary}}
	if k.parser != packet.JSON {
		p, err := k.in.Decode(frames[0])
		if err != nil {
			return err
		}
		frames, _ = packet.JSON.Encode(nil, p)
	}
	for _, f := range frames {
		if f.Binary {
			k.heard <- string(f.Data)
		} else {
			k.heard <- "4" + string(f.Data)
		}
	}
	return nil
}

// official are clients of the official packages, in a process of their own.
func official(t *testing.T, transports []string, parser packet.Parser) world {
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait) // after the process has ended
	process := node.Run(t, "testdata/peers.js", strings.Join(transports, ","), parser.Name())
	var mu sync.Mutex       // guards all following, and what is said
	var peers []chan string // what each has heard
	out := json.NewEncoder(process.Stdin)
	tell := func(id int, verb, text string) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode([]any{id, verb, text}) // it may have ended, with the test
	}
	reading.Go(func() {
		for line := range process.Lines {
			var id int
			var verb, text string
			if err := json.Unmarshal([]byte(line), &[]any{&id, &verb, &text}); err != nil {
				t.Errorf("the clients say %q", line)
				return
			}
			mu.Lock()
			heard := peers[id]
			mu.Unlock()
			heard <- text
			if verb == "closed" {
				close(heard)
			}
		}
	})
	return world{func(t *testing.T, url string) *peer {
		heard := make(chan string, 1<<16)
		mu.Lock()
		id := len(peers)
		peers = append(peers, heard)
		mu.Unlock()
		p := &peer{t: t, hear: func() string { return next(heard) }}
		p.say = func(frame string) { tell(id, "say", frame) }
		p.end = func() { tell(id, "end", "") }
		tell(id, "open", url)
		p.expect("open")
		t.Cleanup(p.leave)
		return p
	}}
}
