package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/chat"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/internal/relay"
	"server22.local/appliance/internal/store"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is all ways to the bus and the chat, on a port.
type server struct {
	t    *testing.T
	url  string
	bus  *bus.Bus
	chat *chat.Chat
	api  *API
}

func serve(t *testing.T, cfg Config) *server {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{
		Path: filepath.Join(t.TempDir(), "store.db"),
		Logs: map[string]store.LogConfig{"chat": {Text: chat.Text}, "bus": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stored := make(chan error, 1)
	go func() { stored <- st.Run(ctx) }()
	b, err := bus.Open(t.Context(), bus.Config{Log: st.Log("bus"), Retained: st.Dict("retained"), State: st.Dict("bus")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := chat.Open(t.Context(), chat.Config{Rooms: []string{"lobby"}, Log: st.Log("chat"), State: st.Dict("chat")})
	if err != nil {
		t.Fatal(err)
	}
	rt := realtime.New(realtime.Options{AckError: problem.Ack})
	c.Serve(rt.Of("/chat"))
	b.Serve(rt.Of("/bus"), bus.Limits{})
	relay.Relay(rt, relay.Limits{})
	cfg.Bus, cfg.Chat = b, c
	a := New(cfg)
	mux := http.NewServeMux()
	for pattern, handler := range a.Routes() {
		mux.Handle(pattern, handler)
	}
	mux.Handle("/socket.io/", rt)
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		a.Close()
		grace, end := context.WithTimeout(ctx, 5*time.Second)
		defer end()
		if err := rt.Shutdown(grace); err != nil {
			t.Error(err)
		}
		web.Close()
		b.Close()
		cancel()
		if err := <-stored; err != nil {
			t.Error(err)
		}
	})
	return &server{t: t, url: web.URL, bus: b, chat: c, api: a}
}

// do sends a request and returns the answer with its body read.
func (s *server) do(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(text)
}

// ok sends a request that is not to be refused.
func (s *server) ok(method, path, body string, header ...string) string {
	s.t.Helper()
	res, text := s.do(method, path, body, header...)
	if res.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %s\n%s", method, path, res.Status, text)
	}
	return text
}

// open begins a stream.
func (s *server) open(path string, header ...string) *lines {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s", path, res.Status)
	}
	l := &lines{t: s.t, body: res.Body, header: res.Header, got: make(chan string, 1000)}
	go l.read()
	s.t.Cleanup(func() { res.Body.Close() })
	return l
}

// lines is a stream, cut at a separator.
type lines struct {
	t      *testing.T
	body   io.ReadCloser
	header http.Header
	got    chan string
}

func (l *lines) read() {
	defer close(l.got)
	buf := make([]byte, 4096)
	var rest string
	for {
		n, err := l.body.Read(buf)
		rest += string(buf[:n])
		for {
			line, more, found := strings.Cut(rest, "\n")
			if !found {
				break
			}
			l.got <- line
			rest = more
		}
		if err != nil {
			return
		}
	}
}

func (l *lines) next() string {
	l.t.Helper()
	select {
	case line, ok := <-l.got:
		if !ok {
			l.t.Fatal("the stream has ended")
		}
		return line
	case <-time.After(5 * time.Second):
		l.t.Fatal("the stream has nothing")
	}
	return ""
}

// dial connects to a namespace.
func (s *server) dial(namespace string) *client.Socket {
	s.t.Helper()
	socket, err := client.Dial(s.t.Context(), s.url+namespace, client.Options{NoReconnect: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = socket.Client().Close() })
	return socket
}

// ws connects a WebSocket.
func (s *server) ws(path string) *websocket.Conn {
	s.t.Helper()
	conn, res, err := websocket.DefaultDialer.DialContext(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+path, nil)
	if err != nil {
		s.t.Fatalf("%s: %v (%v)", path, err, res)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, text, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func closeCode(err error) int {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		return e.Code
	}
	return 0
}
