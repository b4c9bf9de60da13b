package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"server22.local/appliance/realtime/client/engine"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/realtimetest"
)

// echo is our server's end of a session.
type echo struct{ socket *engineio.Socket }

func (e echo) Message(m engineio.Message) {
	e.socket.Send(engineio.NewPacket(engineio.Message{Data: bytes.Clone(m.Data), Binary: m.Binary}), engineio.SendOptions{})
}

func (e echo) Closed(engineio.Reason, error) {}

func ourServer(t *testing.T) *realtimetest.Server {
	return realtimetest.NewServer(t, engineio.NewServer(engineio.Options{}, func(s *engineio.Socket) engineio.Receiver {
		return echo{s}
	}))
}

// Two hours with our server, a message every ten minutes.
func TestOurServer(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := ourServer(t)
				o := mode.options
				o.DialContext = server.Options().DialContext
				c := run(t, server.URL, o)
				for i := range 12 {
					time.Sleep(10 * time.Minute)
					want := engine.Message{Data: fmt.Append(nil, i), Binary: i%2 == 0}
					c.send(t, want)
					if got := c.next(t); !bytes.Equal(got.Data, want.Data) || got.Binary != want.Binary {
						t.Errorf("sent %v, got %v", want, got)
					}
				}
				if c.Transport() != mode.ends {
					t.Errorf("ended up with %s", c.Transport())
				}
				server.Cut()
				if err := c.end(t); err == nil || errors.Is(err, engine.ErrClosed) {
					t.Errorf("after the cut: %v", err)
				}
			})
		})
	}
}

// A poll whose connection breaks is not repeated: what the server has answered
// to it would be missing in the middle of the session.
func TestPollIsNotRepeated(t *testing.T) {
	var polls atomic.Int32
	var server *realtimetest.Server
	server = realtimetest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("sid") == "":
			io.WriteString(w, hello)
		case polls.Add(1) == 1:
			io.WriteString(w, "4first")
		default:
			server.Cut()
		}
	}))
	o := engine.Options{Transports: []string{engine.Polling}, DialContext: server.Options().DialContext}
	c := run(t, server.URL, o)
	c.next(t)
	if err := c.end(t); err == nil || polls.Load() != 2 {
		t.Errorf("after %d polls: %v", polls.Load(), err)
	}
}

const hello = `0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

// scripted answers the polls with the given payloads, one after the other.
func scripted(t *testing.T, payloads ...string) engine.Options {
	var n atomic.Int32
	server := realtimetest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		if r.Method == http.MethodPost || i >= len(payloads) {
			io.Copy(io.Discard, r.Body) // only then is the end of the connection noticed
			<-r.Context().Done()
			return
		}
		io.WriteString(w, payloads[i])
	}))
	return engine.Options{
		Transports: []string{engine.Polling}, NoUpgrade: true, MaxMessage: 10_000,
		DialContext: server.Options().DialContext,
	}
}

const address = "http://realtime.test/engine.io/"

func TestBadHandshakes(t *testing.T) {
	for _, payload := range []string{
		"", "4", "0", "0{}", "0null", `0{"sid":"x"}`, `0{"sid":"","pingInterval":1,"pingTimeout":1}`,
		`0{"sid":"x","pingInterval":-1,"pingTimeout":1}`, "x", hello + "\x1e4early", strings.Repeat("4", 20_000), "<html>",
	} {
		synctest.Test(t, func(t *testing.T) {
			c, err := engine.Dial(t.Context(), address, scripted(t, payload))
			if err == nil {
				c.Abort()
				t.Errorf("took %.40q for a handshake", payload)
			}
		})
	}
}

func TestBadPackets(t *testing.T) {
	for _, payload := range []string{"", "9", "4ok\x1e", "bno base64!", "4\xff", "0{}", "5", strings.Repeat("4", 20_000)} {
		synctest.Test(t, func(t *testing.T) {
			c := run(t, address, scripted(t, hello, payload))
			if err := c.end(t); err == nil || errors.Is(err, engine.ErrPingTimeout) || errors.Is(err, engine.ErrClosed) {
				t.Errorf("after %.40q: %v", payload, err)
			}
		})
	}
}

// Whatever a server sends ends in messages or in an error.
func FuzzServer(f *testing.F) {
	f.Add(hello, "4hello")
	f.Add(hello, "2\x1eb AAAA")
	f.Add(`0{"sid":1}`, "1")
	f.Fuzz(func(t *testing.T, handshake, payload string) {
		synctest.Test(t, func(t *testing.T) {
			c, err := engine.Dial(t.Context(), address, scripted(t, handshake, payload))
			if err != nil {
				return
			}
			if err := c.Run(t.Context(), make(inbox, 20_000)); err == nil {
				t.Error("ended without an error")
			}
		})
	})
}

// A volatile message is refused while something else is being written.
func TestVolatile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := run(t, address, scripted(t, hello)) // which answers no POST
		m := engine.Message{Data: []byte("x")}
		synctest.Wait()
		if err := c.Send(engine.SendOptions{Volatile: true}, m); err != nil {
			t.Errorf("first one: %v", err)
		}
		synctest.Wait()
		if err := c.Send(engine.SendOptions{Volatile: true}, m); !errors.Is(err, engine.ErrNotWritable) {
			t.Errorf("second one: %v", err)
		}
		if err := c.Send(engine.SendOptions{}, m); err != nil || c.QueuedBytes() != 1 {
			t.Errorf("one that waits: %v, %d bytes wait", err, c.QueuedBytes())
		}
	})
}
