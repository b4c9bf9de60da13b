package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime/client"
)

// meaning is a value as all ways should have it: JSON, or bytes.
type meaning struct {
	json  string
	bytes []byte
}

func (m meaning) String() string {
	if m.json == "" {
		return fmt.Sprintf("bytes %x", m.bytes)
	}
	return m.json
}

var meanings = []meaning{
	{json: `21.5`},
	{json: `-0.0000001`},
	{json: `12345678901234567890`},
	{json: `true`},
	{json: `null`},
	{json: `"on"`},
	{json: `"21.5"`}, // a string that looks like a number
	{json: `""`},
	{json: `"naïve ☕ <b> \"quoted\" \\"`},
	{json: `{"c":21.5,"of":["a",null,{"deep":[]}]}`},
	{json: `{"_placeholder":true,"num":0}`}, // what Socket.IO would take for bytes
	{json: `[]`},
	{bytes: []byte{0, 1, 254, 255}},
	{bytes: []byte("\xff not utf-8")},
	{bytes: []byte{}},
}

// raw is the body that means the value over HTTP.
func (m meaning) raw() string {
	if m.json == "" {
		return string(m.bytes)
	}
	return m.json
}

// ways in: each publishes the value, retained, and returns when that is done.
// One that cannot say it returns false.
func waysIn(s *server) map[string]func(topic string, m meaning) bool {
	socket, ws := s.dial("/bus"), s.ws("/ws")
	emit := func(topic string, m meaning) bool {
		var data any = json.RawMessage(m.json)
		if m.json == "" {
			data = m.bytes
		}
		if _, err := client.Ask[any](s.t.Context(), socket, "publish", map[string]any{"topic": topic, "data": data, "retain": true}); err != nil {
			s.t.Errorf("publish %v: %v", m, err)
		}
		return true
	}
	frame := func(topic string, m meaning) bool {
		data, encoding := m.json, ""
		if m.json == "" {
			data, encoding = `"`+base64.StdEncoding.EncodeToString(m.bytes)+`"`, `,"encoding":"base64"`
		}
		send(s.t, ws, fmt.Sprintf(`{"topic":%q,"data":%s%s,"retain":true,"id":1}`, topic, data, encoding))
		if got := receive(s.t, ws); !strings.HasPrefix(got, `{"id":1,"seq":`) {
			s.t.Errorf("%v over /ws: %s", m, got)
		}
		return true
	}
	body := func(method, query string) func(string, meaning) bool {
		return func(topic string, m meaning) bool {
			if m.json == "" && len(m.bytes) == 0 {
				return false // an empty body is the empty string
			}
			s.ok(method, "/api/v1/topics/"+topic+query, m.raw(), "Content-Type", "application/x-www-form-urlencoded")
			return true
		}
	}
	return map[string]func(string, meaning) bool{
		"Socket.IO": emit, "WebSocket": frame, "PUT": body("PUT", ""), "POST": body("POST", "?retain=1"),
		"persistent POST": body("POST", "?retain=1&persist=1"),
	}
}

// fromJSON reads a message as it is written in JSON.
func fromJSON(t *testing.T, text string) meaning {
	t.Helper()
	var m struct {
		Data     json.RawMessage
		Encoding string
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if m.Encoding == "" {
		return meaning{json: string(m.Data)}
	}
	var b []byte
	if err := json.Unmarshal(m.Data, &b); err != nil {
		t.Fatal(err)
	}
	return meaning{bytes: b}
}

func fromValue(v client.Value) meaning {
	if b, ok := v.Bytes(); ok {
		return meaning{bytes: b}
	}
	return meaning{json: string(v.JSON())}
}

type busMessage struct {
	Topic string       `json:"topic"`
	Data  client.Value `json:"data"`
}

// ways out: each returns the value of a topic that was just published to.
func waysOut(s *server) map[string]func(topic string) meaning {
	t := s.t
	socket, live := s.dial("/bus"), make(chan client.Value, 100)
	client.OnArgs(socket, "message", func(_ ctxT, e *client.Event) error {
		var m busMessage
		err := e.Scan(&m)
		live <- m.Data
		return err
	})
	if _, err := client.Ask[any](t.Context(), socket, "subscribe", map[string]any{"topics": []string{"#"}}); err != nil {
		t.Fatal(err)
	}
	ws := s.ws("/ws?topic=%23")
	sse, ndjson := s.open("/api/v1/topics/%23?stream=sse"), s.open("/api/v1/topics/%23?stream=json")
	ask := func(verb string, into any, topic string) {
		args, err := client.Ask[client.Args](t.Context(), socket, verb, map[string]any{"topic": topic})
		if err == nil {
			err = args.Scan(into)
		}
		if err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	return map[string]func(string) meaning{
		"Socket.IO": func(string) meaning {
			select {
			case v := <-live:
				return fromValue(v)
			case <-time.After(5 * time.Second):
				t.Fatal("no message came")
				return meaning{}
			}
		},
		"get": func(topic string) meaning {
			var m busMessage
			ask("get", &m, topic)
			return fromValue(m.Data)
		},
		"history": func(topic string) meaning {
			var m struct{ Messages []busMessage }
			ask("history", &m, topic)
			return fromValue(m.Messages[0].Data)
		},
		"subscribe": func(topic string) meaning {
			var m struct{ Retained []busMessage }
			args, err := client.Ask[client.Args](t.Context(), s.dial("/bus"), "subscribe", map[string]any{"topics": topic})
			if err == nil {
				err = args.Scan(&m)
			}
			if err != nil || len(m.Retained) != 1 {
				t.Fatalf("retained: %v, %v", m, err)
			}
			return fromValue(m.Retained[0].Data)
		},
		"WebSocket": func(string) meaning { return fromJSON(t, receive(t, ws)) },
		"SSE": func(string) meaning {
			id, data, end := sse.next(), sse.next(), sse.next()
			if !strings.HasPrefix(id, "id: ") || !strings.HasPrefix(data, "data: ") || end != "" {
				t.Errorf("an event is %q %q %q", id, data, end)
			}
			return fromJSON(t, strings.TrimPrefix(data, "data: "))
		},
		"NDJSON": func(string) meaning { return fromJSON(t, ndjson.next()) },
		"poll": func(topic string) meaning {
			return fromJSON(t, s.ok("GET", "/api/v1/topics/"+topic+"?poll=1", ""))
		},
		"snapshot": func(topic string) meaning {
			var m struct{ Messages []json.RawMessage }
			if err := json.Unmarshal([]byte(s.ok("GET", "/api/v1/topics/"+topic+"/%23", "")), &m); err != nil || len(m.Messages) != 1 {
				t.Fatal(m, err)
			}
			return fromJSON(t, string(m.Messages[0]))
		},
	}
}

// TestValues crosses every way in with every way out.
func TestValues(t *testing.T) {
	s := serve(t, Config{})
	in, out := waysIn(s), waysOut(s)
	n := 0
	for from, publish := range in {
		for _, want := range meanings {
			n++
			topic := fmt.Sprintf("values/%d", n)
			if !publish(topic, want) {
				continue
			}
			for to, read := range out {
				if got := read(topic); got.String() != want.String() {
					t.Errorf("%v by %s comes out of %s as %v", want, from, to, got)
				}
			}
			checkRaw(s, from, topic, want)
		}
	}
}

// checkRaw looks at the ways out that give a value without wrapping: a string
// or bytes raw, anything else as JSON.
func checkRaw(s *server, from, topic string, want meaning) {
	s.t.Helper()
	raw, contentType := want.json, "application/json"
	var text string
	switch {
	case want.json == "":
		raw, contentType = string(want.bytes), "application/octet-stream"
	case json.Unmarshal([]byte(want.json), &text) == nil && want.json != "null":
		raw, contentType = text, "text/plain; charset=utf-8"
	}
	res, body := s.do(http.MethodGet, "/api/v1/topics/"+topic, "")
	if body != raw || res.Header.Get("Content-Type") != contentType {
		s.t.Errorf("%v by %s comes out of GET as %q, %s", want, from, body, res.Header.Get("Content-Type"))
	}
	if got := s.ok(http.MethodGet, "/api/v1/topics/"+topic+"?poll=1&stream=raw", ""); got != raw+"\n" {
		s.t.Errorf("%v by %s comes out of the raw stream as %q", want, from, got)
	}
}
