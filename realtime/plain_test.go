package realtime_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
)

// plainClient speaks to a namespace without any library.
func plainClient(t *testing.T, url string) (say func(string), hear func() string) {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	say = func(text string) {
		t.Helper()
		if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return say, func() string {
		_, text, err := ws.ReadMessage()
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
}

func TestPlain(t *testing.T) {
	io := behaving(t)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/ws", io.Plain("/"))
	mux.Handle("/guarded", io.Plain("/guarded"))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { io.Shutdown(t.Context()) })

	say, hear := plainClient(t, srv.URL+"/ws")
	if got := hear(); !strings.HasPrefix(got, `{"sid":"`) {
		t.Fatalf("greeted with %s", got)
	}
	for _, step := range [][2]string{
		{`{"event":"echo","args":[{"a":[1,null]}],"id":7}`, `{"ack":7,"args":[{"a":[1,null]}]}`},
		{`{"event":"swap","args":["a",{"b":1}],"id":8}`, `{"ack":8,"args":[{"b":1},"a"]}`},
		{`{"event":"join","args":["plain"],"id":9}`, `{"ack":9,"args":[]}`},
		{`["say all",["plain"],"hello"]`, `["said","hello"]`},
		{`{"event":"refuse","id":1}`, `{"ack":1,"args":[{"error":{"message":"not you","data":{"code":7}}}]}`},
	} {
		say(step[0])
		if got := hear(); got != step[1] {
			t.Errorf("%s: got %s", step[0], got)
		}
	}
	if err := io.To("plain").Emit("file", map[string]any{"bytes": []byte("abc")}); err != nil {
		t.Error(err)
	}
	if got := hear(); got != `["file",{"bytes":"YWJj"}]` {
		t.Errorf("got %s", got)
	}
	say(`{"event":"ask me","args":[4],"id":2}`)
	question := hear()
	id := question[strings.LastIndex(question, ":")+1 : len(question)-1]
	if question != `{"event":"question","args":[4],"id":`+id+`}` {
		t.Errorf("asked %s", question)
	}
	say(`{"ack":` + id + `,"args":[40]}`)
	if got := hear(); got != `{"ack":2,"args":[40]}` {
		t.Errorf("got %s", got)
	}
	say(`["kick me"]`)
	if got := hear(); !strings.Contains(got, "close 1000") {
		t.Errorf("got %s", got)
	}
}

func TestPlainIsRefused(t *testing.T) {
	io := behaving(t)
	srv := httptest.NewServer(io.Plain("/guarded"))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { io.Shutdown(t.Context()) })

	_, hear := plainClient(t, srv.URL+"?token=wrong")
	if got := hear(); got != `{"error":{"message":"unauthorized","data":{"hint":"token"}}}` {
		t.Errorf("got %s", got)
	}
	if got := hear(); !strings.Contains(got, "close 1000") {
		t.Errorf("got %s", got)
	}
	say, hear := plainClient(t, srv.URL+"?token=secret")
	hear()
	say(`{"event":"who","id":1}`)
	if got := hear(); got != `{"ack":1,"args":["secret"]}` {
		t.Errorf("got %s", got)
	}
	say(`not JSON`)
	if got := hear(); !strings.Contains(got, "close 1003") {
		t.Errorf("got %s", got)
	}
}

// TestPlainSubprotocol: a browser that asks for one insists on an answer.
func TestPlainSubprotocol(t *testing.T) {
	io := realtime.New(realtime.Options{})
	srv := httptest.NewServer(io.Plain("/"))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { io.Shutdown(t.Context()) })
	dialer := websocket.Dialer{Subprotocols: []string{"first", "second"}}
	ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if got := ws.Subprotocol(); got != "first" {
		t.Errorf("the subprotocol is %q", got)
	}
}

// TestPlainVolatile: what is being written is in the way, too.
func TestPlainVolatile(t *testing.T) {
	io := realtime.New(realtime.Options{Engine: engineio.Options{Queue: engineio.Queue{Bytes: 1 << 30}}})
	sockets := make(chan *realtime.Socket, 1)
	io.OnConnect(func(s *realtime.Socket) { sockets <- s })
	srv := httptest.NewServer(io.Plain("/"))
	t.Cleanup(srv.Close)
	_, hear := plainClient(t, srv.URL)
	hear()
	s := <-sockets
	if err := s.Emit("large", strings.Repeat("x", 32<<20)); err != nil { // more than the network takes unread
		t.Fatal(err)
	}
	for range 100 {
		if err := s.Volatile().Emit("maybe"); !errors.Is(err, realtime.ErrDropped) {
			t.Fatalf("a volatile event behind a large one: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
	s.Drop()
}

func TestPlainEndsWithTheServer(t *testing.T) {
	io := realtime.New(realtime.Options{})
	srv := httptest.NewServer(io.Plain("/"))
	t.Cleanup(srv.Close)
	_, hear := plainClient(t, srv.URL)
	hear()
	if err := io.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := hear(); !strings.Contains(got, "close 1001") {
		t.Errorf("got %s", got)
	}
}
