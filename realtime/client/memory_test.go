package client_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest"
)

// inBubble runs a test of time with our server in memory.
func inBubble(t *testing.T, f func(t *testing.T, server *realtimetest.Server)) {
	synctest.Test(t, func(t *testing.T) {
		io := newServer(t, setup{parser: parsers[0]})
		f(t, realtimetest.NewServer(t, io))
	})
}

// The waits between attempts double up to a bound, and begin anew once the
// server has connected a namespace.
func TestBackoff(t *testing.T) {
	inBubble(t, func(t *testing.T, server *realtimetest.Server) {
		o := server.Options()
		o.ReconnectDelay, o.ReconnectDelayMax, o.ReconnectJitter = time.Second, 5*time.Second, -1
		c := server.New(o)
		s := c.Of("/")
		var attempts []time.Duration
		var began time.Time
		var back int
		c.OnReconnectAttempt(func(int) { attempts = append(attempts, time.Since(began)) })
		c.OnReconnect(func(n int) { back = n })
		c.OnReconnectAttempt(func(int) { t.Error("a hook is called that was taken out") })()
		server.Connect(c)
		for range 2 {
			attempts, began = nil, time.Now()
			server.Unplug()
			time.Sleep(20 * time.Second)
			server.Plug()
			if err := s.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []time.Duration{1, 3, 7, 12, 17, 22}
			if len(attempts) != len(want) || back != len(want) {
				t.Fatalf("attempts after %v, back with number %d", attempts, back)
			}
			for i, after := range attempts {
				if after.Round(time.Second) != want[i]*time.Second {
					t.Errorf("attempt %d after %s, want %ds", i+1, after, want[i])
				}
			}
		}
	})
}

// Clients that lose their server at the same moment do not come back at the
// same moment.
func TestJitter(t *testing.T) {
	inBubble(t, func(t *testing.T, server *realtimetest.Server) {
		var first, last atomic.Int64
		first.Store(1 << 62)
		began := time.Now()
		for range 50 {
			o := server.Options()
			o.ReconnectDelay, o.ReconnectDelayMax = time.Second, 5*time.Second
			c := server.New(o)
			c.Of("/")
			c.OnReconnectAttempt(func(int) {
				now := int64(time.Since(began))
				first.Store(min(first.Load(), now))
				last.Store(max(last.Load(), now))
			})
			server.Connect(c)
		}
		began = time.Now()
		server.Cut()
		time.Sleep(10 * time.Second)
		if a, b := time.Duration(first.Load()), time.Duration(last.Load()); a < 500*time.Millisecond || b > 1500*time.Millisecond || b-a < 500*time.Millisecond {
			t.Errorf("attempts from %s to %s after the cut", a, b)
		}
	})
}

func TestGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, server *realtimetest.Server) {
		o := server.Options()
		o.ReconnectAttempts = 3
		c := server.New(o)
		s := c.Of("/")
		failures := 0
		c.OnConnectionError(func(error) { failures++ })
		server.Unplug()
		emitErr := s.Emit("echo", 1)
		err := c.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "gave up after 3 attempts") || failures != 4 || emitErr != nil {
			t.Errorf("after %d attempts: %v; emit before: %v", failures, err, emitErr)
		}
		if err := c.Close(); !errors.Is(err, client.ErrNotSent) {
			t.Errorf("Close with something unsent: %v", err)
		}
		if _, err := client.Ask[int](t.Context(), s, "ask", 1); !errors.Is(err, client.ErrClosed) {
			t.Errorf("asking a client that gave up: %v", err)
		}
		if err := c.Run(t.Context()); err == nil {
			t.Error("ran twice")
		}
	})
}

func TestNoReconnect(t *testing.T) {
	inBubble(t, func(t *testing.T, server *realtimetest.Server) {
		o := server.Options()
		o.NoReconnect = true
		c := server.New(o)
		s := c.Of("/")
		ended := make(chan error)
		go func() { ended <- c.Run(t.Context()) }()
		if err := s.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.Cut()
		if err := <-ended; err == nil {
			t.Error("Run ended without an error")
		}
	})
}

// A server that goes silent is given up after pingInterval and pingTimeout.
func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := make(chan struct{})
		t.Cleanup(func() { close(silent) })
		server := realtimetest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch sid := r.URL.Query().Get("sid"); {
			case sid == "":
				w.Write([]byte(`0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`))
			case r.Method == http.MethodPost:
				w.Write([]byte("ok"))
			case r.Header.Get("Polled") == "":
				select {
				case <-silent:
				case <-r.Context().Done():
				}
			}
		}))
		o := server.Options()
		o.Transports, o.NoReconnect = []string{client.Polling}, true
		c := server.New(o)
		c.Of("/")
		began := time.Now()
		err := c.Run(t.Context())
		if took := time.Since(began); took != 45*time.Second || err == nil || !strings.Contains(err.Error(), "no ping") {
			t.Errorf("ended after %s: %v", took, err)
		}
	})
}

// An attempt at a server that never answers ends with Options.Timeout, and at
// once when the client is closed.
func TestAttemptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := realtimetest.NewServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}))
		for _, transport := range []string{client.Polling, client.WebSocket} {
			o := server.Options()
			o.Transports, o.Timeout, o.NoReconnect = []string{transport}, time.Minute, true
			c := server.New(o)
			c.Of("/")
			began := time.Now()
			err := c.Run(t.Context())
			// The context's deadline is also the connection's: either may tell first.
			late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
			if !late || time.Since(began) != time.Minute {
				t.Errorf("%s: after %s: %v", transport, time.Since(began), err)
			}

			c = server.New(o)
			c.Of("/")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began = time.Now()
			if err := c.Run(ctx); err != nil || time.Since(began) != time.Second {
				t.Errorf("%s: cancelled after %s: %v", transport, time.Since(began), err)
			}
		}
	})
}

// Events that wait for a handler are bounded in memory.
func TestSlowHandler(t *testing.T) {
	inBubble(t, func(t *testing.T, server *realtimetest.Server) {
		o := server.Options()
		o.Inbox = 100_000
		c := server.New(o)
		s, other := c.Of("/"), c.Of("/chat")
		release := make(chan struct{})
		client.On(s, "echo", func(_ context.Context, _ *client.Socket, _ string) error { <-release; return nil })
		why := reasons(s)
		server.Connect(c)
		var lost error
		for lost == nil { // until the connection is given up
			emit(t, s, "echo", strings.Repeat("x", 1000))
			_, lost = client.Ask[int](t.Context(), other, "ask", 1)
		}
		close(release)
		if got := next(t, why); got != client.ReasonTransportError {
			t.Errorf("disconnected: %s", got)
		}
		// What was emitted last may have been too much for the next connection too.
		_, err := client.Ask[int](t.Context(), s, "ask", 1)
		for errors.Is(err, client.ErrDisconnected) {
			_, err = client.Ask[int](t.Context(), s, "ask", 1)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// What waits to be sent is bounded, and what the server would not take is
// refused rather than sent.
func TestEmitBounds(t *testing.T) {
	for _, retries := range []int{0, 1} {
		inBubble(t, func(t *testing.T, server *realtimetest.Server) {
			o := server.Options()
			o.Buffer, o.Retries = 10_000, retries
			c := server.New(o)
			s := c.Of("/")
			sent := 0
			for s.Emit("ask", strings.Repeat("x", 1000)) == nil && sent < 100 {
				sent++
			}
			if sent < 5 || sent > 10 || !errors.Is(s.Emit("ask", strings.Repeat("x", 1000)), client.ErrBufferFull) {
				t.Errorf("retries %d: %d events of 1000 bytes fit into 10000", retries, sent)
			}
			server.Connect(c)
			realtimetest.Ask[int](t, s, "ask", 1)
			_, err := client.Ask[string](t.Context(), s, "ask", strings.Repeat("x", 2_000_000))
			if large, ok := errors.AsType[*client.TooLargeError](err); !ok || large.Limit != 1_000_000 {
				t.Errorf("asking with 2 MB: %v", err)
			}
			realtimetest.Ask[int](t, s, "ask", 1)
		})
	}
}

// Whatever the server answers to a handler that failed is an error of Ask.
func TestAckError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := realtime.New(realtime.Options{})
		realtime.Handle(io, "fail", func(context.Context, *realtime.Socket, int) (int, error) {
			return 0, realtime.Refuse("too late", map[string]int{"since": 5})
		})
		realtime.OnArgs(io, "raw", func(_ context.Context, e *realtime.Event) error { return e.Ack.Send(e.Args().Any()...) })
		asked := make(chan error, 1)
		realtime.On0(io, "ask me", func(ctx context.Context, s *realtime.Socket) error {
			answer, err := realtime.Ask[map[string]map[string]string](ctx, s, "question", "not a number")
			if got := answer["error"]["message"]; !strings.Contains(got, "argument 1") {
				t.Errorf("the server was told %q", got)
			}
			asked <- err
			return nil
		})
		server := realtimetest.NewServer(t, io)
		s := server.Client("/")
		_, err := client.Ask[int](t.Context(), s, "fail", 1)
		refused, ok := errors.AsType[*client.AckError](err)
		if !ok || refused.Message != "too late" || string(refused.Data) != `{"message":"too late","data":{"since":5}}` {
			t.Errorf("failed with %v", err)
		}
		// What only looks like it is an answer.
		for _, value := range []any{map[string]any{"error": "text"}, map[string]any{"error": map[string]any{"message": "m"}, "and": 1.0}} {
			if got := realtimetest.Ask[map[string]any](t, s, "raw", value); len(got) != len(value.(map[string]any)) {
				t.Errorf("asked for %v, got %v", value, got)
			}
		}
		client.Handle(s, "question", func(context.Context, *client.Socket, int) (int, error) { return 1, nil })
		emit(t, s, "ask me")
		if err := <-asked; err != nil {
			t.Error(err)
		}
	})
}

// A result that cannot be encoded is an error that the server is told, not an
// acknowledgement that never comes.
func TestUnencodableResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := realtime.New(realtime.Options{})
		told := make(chan string, 1)
		realtime.On0(io, "ask me", func(ctx context.Context, s *realtime.Socket) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			answer, err := realtime.Ask[map[string]map[string]string](ctx, s, "question")
			if err != nil {
				t.Error(err)
			}
			told <- answer["error"]["message"]
			return nil
		})
		s := realtimetest.NewServer(t, io).Client("/")
		client.Handle0(s, "question", func(context.Context, *client.Socket) (any, error) { return make(chan int), nil })
		emit(t, s, "ask me")
		if got := <-told; !strings.Contains(got, "unsupported type") {
			t.Errorf("the server was told %q", got)
		}
	})
}

// Handlers may close the client, and Close does not wait for them.
func TestCloseFromHandler(t *testing.T) {
	inBubble(t, func(t *testing.T, server *realtimetest.Server) {
		c := server.New(server.Options())
		s := c.Of("/")
		closed := make(chan error, 1)
		client.On(s, "echo", func(ctx context.Context, s *client.Socket, _ int) error {
			closed <- s.Close()
			<-ctx.Done()
			return nil
		})
		server.Connect(c)
		emit(t, s, "echo", 1)
		if err := next(t, closed); err != nil {
			t.Error(err)
		}
		c.Wait()
	})
}

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "host", "ftp://host", "http://", "http://host/chat", "http://host:port"} {
		if _, err := client.New(url, client.Options{}); err == nil {
			t.Errorf("New took %q", url)
		}
	}
	for _, o := range []client.Options{{Retries: -1}, {AckTimeout: -1}, {ReconnectJitter: 2}, {ReconnectAttempts: -1}} {
		if _, err := client.New("http://host", o); err == nil {
			t.Errorf("New took %+v", o)
		}
	}
}
