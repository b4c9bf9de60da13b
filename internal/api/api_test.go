package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime/client"
)

type ctxT = context.Context

func TestTopics(t *testing.T) {
	s := serve(t, Config{})
	if got := s.ok("POST", "/api/v1/topics/lab/temp", "21.5"); !strings.HasPrefix(got, `{"seq":1,"time":`) {
		t.Errorf("publishing answers %s", got)
	}
	if got := s.ok("GET", "/api/v1/topics/lab/temp", ""); got != "21.5" {
		t.Errorf("the last value is %q", got)
	}
	s.ok("PUT", "/api/v1/topics/lab%2Fhum", "40")
	s.ok("PUT", "/api/v1/topics/a%20b/é", "40")
	var list struct{ Topics []bus.TopicInfo }
	if err := json.Unmarshal([]byte(s.ok("GET", "/api/v1/topics?prefix=lab/", "")), &list); err != nil || len(list.Topics) != 2 || list.Topics[0].Topic != "lab/hum" || !list.Topics[0].Retained || list.Topics[1].Retained {
		t.Errorf("the topics are %+v, %v", list, err)
	}
	if res, _ := s.do("GET", "/api/v1/topics/lab/hum", "", "If-None-Match", `"2"`); res.StatusCode != 304 || res.Header.Get("X-Seq") != "2" {
		t.Errorf("what is known already is answered with %s", res.Status)
	}
	if res, body := s.do("HEAD", "/api/v1/topics/lab/hum", ""); res.StatusCode != 200 || body != "" {
		t.Errorf("HEAD is answered with %s %q", res.Status, body)
	}
	if res, _ := s.do("DELETE", "/api/v1/topics/lab/hum", ""); res.StatusCode != 204 {
		t.Errorf("DELETE is answered with %s", res.Status)
	}
	if res, _ := s.do("GET", "/api/v1/topics/lab/hum", ""); res.StatusCode != 404 {
		t.Errorf("what was deleted is answered with %s", res.Status)
	}
}

// TestTypes: the type of a body is kept for reading it again, and cannot make
// a value one of our pages.
func TestTypes(t *testing.T) {
	s := serve(t, Config{})
	for _, c := range []struct{ body, sent, want string }{
		{"\x89PNG\xff", "image/png", "image/png"},
		{"a,b", "text/csv", "text/csv"},
		{"<script>alert(1)</script>", "text/html", "text/html"},
		{"on", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"},
		{"on", "", "text/plain; charset=utf-8"},
		{"21.5", "text/plain", "application/json"},
		{`"on"`, "application/json", "text/plain; charset=utf-8"},
		{"not json", "application/json", "text/plain; charset=utf-8"},
		{"on", "a\tb; c", "text/plain; charset=utf-8"},
	} {
		s.ok("PUT", "/api/v1/topics/x", c.body, "Content-Type", c.sent)
		res, _ := s.do("GET", "/api/v1/topics/x", "")
		h := res.Header
		if h.Get("Content-Type") != c.want || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q as %q comes back with %v", c.body, c.sent, h)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := serve(t, Config{MaxBody: 100})
	long := strings.Repeat("x", 101)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/api/v1/topics/nothing", "", 404},
		{"DELETE", "/api/v1/topics/nothing", "", 404},
		{"PUT", "/api/v1/topics/a", long, 413},
		{"PUT", "/api/v1/topics/a/+", "1", 400},
		{"PUT", "/api/v1/topics/a?persist=perhaps", "1", 400},
		{"PUT", "/api/v1/topics/", "1", 400},
		{"PATCH", "/api/v1/topics/a", "1", 405},
		{"GET", "/api/v1/topics/a?stream=xml", "", 400},
		{"GET", "/api/v1/topics/a?since=yesterday", "", 400},
		{"GET", "/api/v1/topics/a?limit=0", "", 400},
		{"GET", "/api/v1/topics/%23/a", "", 400},
		{"POST", "/api/v1/topics", "", 405},
		{"GET", "/api/v1/rooms/nowhere/messages", "", 404},
		{"GET", "/api/v1/rooms/direct:x/messages", "", 404},
		{"POST", "/api/v1/rooms/direct:x/messages?nick=a", "hello", 404},
		{"POST", "/api/v1/rooms/lobby/messages", "hello", 400},
		{"POST", "/api/v1/rooms/lobby/messages?nick=a", "", 400},
		{"POST", "/api/v1/rooms/lobby/messages?nick=a", "\xff", 400},
		{"POST", "/api/v1/rooms/lobby/messages", `{"nick": 5}`, 400},
		{"POST", "/api/v1/rooms/lobby/messages?nick=a", long, 413},
		{"PUT", "/api/v1/rooms/lobby/messages", "", 405},
		{"GET", "/api/v1/rooms/lobby/messages?before=x", "", 400},
		{"POST", "/api/v1/rooms", "", 405},
		{"GET", "/ws", "", 426},
		{"GET", "/ws?topic=a%23", "", 400},
		{"GET", "/ws?since=x", "", 400},
		{"GET", "/echo", "", 426},
	} {
		res, body := s.do(c.method, c.path, c.body)
		var p problem.Problem
		err := json.Unmarshal([]byte(body), &p)
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != problem.ContentType || err != nil || p.Status != c.status || p.Hint == "" || p.Detail == "" {
			t.Errorf("%s %s: %s %s; want %d with a hint", c.method, c.path, res.Status, body, c.status)
		}
	}
}

func TestTooOften(t *testing.T) {
	s := serve(t, Config{Rate: 0.001, Burst: 2})
	s.ok("PUT", "/api/v1/topics/a", "1")
	s.ok("POST", "/api/v1/rooms/lobby/messages?nick=a", "1")
	for _, path := range []string{"/api/v1/topics/a", "/api/v1/rooms/lobby/messages?nick=a"} {
		if res, _ := s.do("POST", path, "1"); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
			t.Errorf("the third write is answered with %s", res.Status)
		}
	}
	conn := s.ws("/ws")
	for range 3 {
		send(t, conn, `{"topic":"a","data":1,"id":1}`)
	}
	receive(t, conn)
	receive(t, conn)
	if got := receive(t, conn); !strings.Contains(got, `"error":{"code":429`) {
		t.Errorf("the third frame is answered with %s", got)
	}
}

func TestStreams(t *testing.T) {
	s := serve(t, Config{})
	s.ok("PUT", "/api/v1/topics/a/1", "one")
	s.ok("POST", "/api/v1/topics/a/2", "two")
	for name, c := range map[string]struct {
		query, contentType string
		header             []string
		first              []string
	}{
		"retained":     {"?stream=raw", "text/plain; charset=utf-8", nil, []string{"one"}},
		"all":          {"?stream=raw&since=all", "text/plain; charset=utf-8", nil, []string{"one", "two"}},
		"since":        {"?stream=raw&since=1", "text/plain; charset=utf-8", nil, []string{"two"}},
		"from now":     {"?stream=raw&since=2", "text/plain; charset=utf-8", nil, nil},
		"back":         {"", "text/event-stream", []string{"Accept", "text/event-stream", "Last-Event-ID", "1"}, []string{"id: 2"}},
		"another life": {"?stream=raw&since=999", "text/plain; charset=utf-8", nil, []string{"one", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			stream := s.open("/api/v1/topics/a/%2B"+c.query, c.header...)
			if got := stream.header.Get("Content-Type"); got != c.contentType {
				t.Errorf("the type is %s", got)
			}
			for _, want := range c.first {
				if got := stream.next(); got != want {
					t.Errorf("received %q; want %q", got, want)
				}
			}
		})
	}
	live := s.open("/api/v1/topics/a/%2B?stream=raw&since=2")
	s.ok("POST", "/api/v1/topics/a/3", "three")
	s.ok("POST", "/api/v1/topics/b/3", "elsewhere")
	s.ok("POST", "/api/v1/topics/a/4", "four")
	if one, two := live.next(), live.next(); one+two != "threefour" {
		t.Errorf("received %q %q", one, two)
	}
	if got := s.ok("GET", "/api/v1/topics/a/%2B?since=2", ""); strings.Count(got, "\n") != 2 {
		t.Errorf("since without a stream gives %q", got)
	}
	if got := s.ok("GET", "/api/v1/topics/unknown?poll=1", ""); got != "" {
		t.Errorf("a topic without values gives %q", got)
	}
	ended := s.open("/api/v1/topics/a/3?stream=sse&since=999999")
	s.api.Close()
	for {
		line, ok := <-ended.got
		if !ok {
			t.Fatal("the stream ended without a word")
		}
		if line == "event: end" {
			break
		}
	}
}

func TestWebSocket(t *testing.T) {
	s := serve(t, Config{})
	s.ok("PUT", "/api/v1/topics/a/1", "one")
	conn := s.ws("/ws?topic=a%2F%2B")
	if got := receive(t, conn); !strings.HasPrefix(got, `{"topic":"a/1","data":"one","seq":1,"time":`) || !strings.HasSuffix(got, `"retain":true}`) {
		t.Errorf("the retained value is %s", got)
	}
	send(t, conn, `{"topic":"a/2","data":{"x":1}}`) // the publisher subscribed
	if got := receive(t, conn); !strings.HasPrefix(got, `{"topic":"a/2","data":{"x":1},"seq":2,"time":`) {
		t.Errorf("received %s", got)
	}
	send(t, conn, `{"subscribe":["b"],"id":"s"}`)
	if got := receive(t, conn); got != `{"id":"s"}` {
		t.Errorf("subscribing is answered with %s", got)
	}
	send(t, conn, `{"unsubscribe":["a/+"],"id":[1]}`)
	if got := receive(t, conn); got != `{"id":[1]}` {
		t.Errorf("unsubscribing is answered with %s", got)
	}
	s.ok("POST", "/api/v1/topics/a/1", "unseen")
	s.ok("POST", "/api/v1/topics/b", "seen")
	if got := receive(t, conn); !strings.HasPrefix(got, `{"topic":"b","data":"seen"`) {
		t.Errorf("received %s", got)
	}
	for frame, code := range map[string]int{
		`{"topic":"a/+","data":1,"id":7}`:               400,
		`{"topic":"a"}`:                                 400,
		`{"topic":"a","data":1,"encoding":"hex"}`:       400,
		`{"topic":"a","data":"no","encoding":"base64"}`: 400,
		`{"subscribe":["a#"]}`:                          400,
		`{"subscribe":["a"],"since":"?"}`:               400,
		`{}`:                                            400,
		`[]`:                                            400,
		`hello`:                                         400,
	} {
		send(t, conn, frame)
		var got struct {
			ID    any
			Error problem.Refusal
		}
		if err := json.Unmarshal([]byte(receive(t, conn)), &got); err != nil || got.Error.Code != code || got.Error.Message == "" || strings.Contains(frame, "id") && got.ID == nil {
			t.Errorf("%s is answered with %+v, %v", frame, got, err)
		}
	}
	if err := conn.WriteMessage(websocket.BinaryMessage, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, conn); !strings.Contains(got, `"code":400`) {
		t.Errorf("bytes are answered with %s", got)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("\xff")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); closeCode(err) != websocket.CloseInvalidFramePayloadData {
		t.Errorf("text that is no text ends with %v", err)
	}
	other := s.ws("/ws?topic=b&since=0")
	receive(t, other)
	s.api.Close()
	if _, _, err := other.ReadMessage(); closeCode(err) != websocket.CloseGoingAway {
		t.Errorf("at the end came %v", err)
	}
}

func TestEcho(t *testing.T) {
	s := serve(t, Config{})
	dialer := websocket.Dialer{Subprotocols: []string{"arduino", "other"}}
	conn, _, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.Subprotocol() != "arduino" {
		t.Errorf("the subprotocol is %q", conn.Subprotocol())
	}
	for _, want := range []struct {
		kind int
		data string
	}{
		{websocket.TextMessage, "hello"},
		{websocket.TextMessage, ""},
		{websocket.TextMessage, strings.Repeat("☕", 100_000)},
		{websocket.BinaryMessage, strings.Repeat("\xff\x00", 1<<20)},
	} {
		sent := make(chan error, 1)
		go func() { sent <- conn.WriteMessage(want.kind, []byte(want.data)) }()
		kind, got, err := conn.ReadMessage()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if err != nil || kind != want.kind || string(got) != want.data {
			t.Fatalf("%d bytes of kind %d came back as %d of kind %d, %v", len(want.data), want.kind, len(got), kind, err)
		}
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("ab\xe2\x98")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); closeCode(err) != websocket.CloseInvalidFramePayloadData {
		t.Errorf("half a character ends with %v", err)
	}
	last := s.ws("/echo")
	send(t, last, "x")
	receive(t, last)
	s.api.Close()
	if _, _, err := last.ReadMessage(); closeCode(err) != websocket.CloseGoingAway {
		t.Errorf("at the end came %v", err)
	}
}

func TestRooms(t *testing.T) {
	s := serve(t, Config{Admin: func(r *http.Request) bool { return r.Header.Get("X-Admin") != "" }})
	heard := make(chan map[string]any, 10)
	socket := s.dial("/chat")
	client.On(socket, "message", func(_ ctxT, _ *client.Socket, m map[string]any) error {
		heard <- m
		return nil
	})
	if _, err := client.Ask[any](t.Context(), socket, "join", map[string]any{"room": "lobby", "nick": "ann"}); err != nil {
		t.Fatal(err)
	}
	if got := s.ok("POST", "/api/v1/rooms/lobby/messages", `{"nick": "script", "text": "hello", "id": "1"}`); !strings.HasPrefix(got, `{"seq":1,"time":`) {
		t.Errorf("posting answers %s", got)
	}
	if got := s.ok("POST", "/api/v1/rooms/lobby/messages", `{"nick": "script", "text": "hello", "id": "1"}`); !strings.HasPrefix(got, `{"seq":1,"time":`) {
		t.Errorf("the retry answers %s", got)
	}
	s.ok("POST", "/api/v1/rooms/lobby/messages?nick=curl", "bare text")
	for _, want := range []string{"script hello", "curl bare text"} {
		select {
		case m := <-heard:
			if got := fmt.Sprint(m["nick"], " ", m["text"]); got != want {
				t.Errorf("heard %q; want %q", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("nobody heard it")
		}
	}
	if _, err := client.Ask[any](t.Context(), socket, "message", map[string]any{"room": "lobby", "text": "by socket"}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{"": "123", "?since=1": "23", "?limit=1": "3", "?before=3": "12", "?since=10m&before=2": "1"} {
		var got struct{ Messages []struct{ Seq int } }
		if err := json.Unmarshal([]byte(s.ok("GET", "/api/v1/rooms/lobby/messages"+query, "")), &got); err != nil {
			t.Fatal(err)
		}
		var seqs strings.Builder
		for _, m := range got.Messages {
			seqs.WriteString(fmt.Sprint(m.Seq))
		}
		if seqs.String() != want {
			t.Errorf("%s gives %s; want %s", query, seqs.String(), want)
		}
	}
	if got := s.ok("GET", "/api/v1/rooms", ""); !strings.Contains(got, `{"room":"lobby","members":1,"last":3,"posting":"all"}`) {
		t.Errorf("the rooms are %s", got)
	}
}
