package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/test/node"
)

// TestSocketIO speaks protocol 5 to the fixture frame by frame.
func TestSocketIO(t *testing.T) {
	url := serve(t, socketIO(slog.New(slog.DiscardHandler)))
	const closed = "closed"
	hello := []string{"> 40", "<~ 40{\"sid\":", `< 42["auth",{}]`}
	for name, steps := range map[string][]string{
		"auth":                    {`> 40{"token":"123"}`, `<~ 40{"sid":`, `< 42["auth",{"token":"123"}]`},
		"namespace":               {`> 40/custom,`, `<~ 40/custom,{"sid":`, `< 42/custom,["auth",{}]`},
		"namespace without comma": {`> 40/custom`, `<~ 40/custom,{"sid":`, `< 42/custom,["auth",{}]`},
		"namespace with auth":     {`> 40/custom,{"token":"abc"}`, `<~ 40/custom,{"sid":`, `< 42/custom,["auth",{"token":"abc"}]`},
		"unknown namespace":       {`> 40/random`, `< 44/random,{"message":"Invalid namespace"}`},
		"invalid handshake":       {`> 4abc`, closed},
		"no handshake":            {closed},
		"event":                   append(hello, `> 42["message",1,"2",{"3":[true]}]`, `< 42["message-back",1,"2",{"3":[true]}]`),
		"binary": append(hello, `> 452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `>b 123`, `>b 456`,
			`< 452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `<b 123`, `<b 456`),
		"ack": append(hello, `> 42456["message-with-ack",1,"2",{"3":[false]}]`, `< 43456[1,"2",{"3":[false]}]`),
		"binary ack": append(hello, `> 452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `>b 123`, `>b 456`,
			`< 462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `<b 123`, `<b 456`),
		"disconnect": append(hello, "> 40/custom", `<~ 40/custom,{"sid":`, `< 42/custom,["auth",{}]`, "> 41/custom",
			`> 42["message","main"]`, `< 42["message-back","main"]`),
		"unknown packet":                append(hello, `> 4abc`, closed),
		"object for an event":           append(hello, `> 42{}`, closed),
		"bad ack id":                    append(hello, `> 42abc["message-with-ack",1]`, closed),
		"namespace not joined":          append(hello, `> 42/custom,["message",1]`, closed),
		"connected twice":               append(hello, `> 40`, closed),
		"binary without a packet":       append(hello, `>b 123`, closed),
		"event in a burst with joining": {"> 40", `> 42["message","soon"]`, `<~ 40{"sid":`, `< 42["auth",{}]`, `< 42["message-back","soon"]`},
		"events after leaving":          append(hello, "> 40/custom", `<~ 40/custom,{"sid":`, `< 42/custom,["auth",{}]`, "> 41/custom", `> 42/custom,["message",1]`, `> 42["message",2]`, `< 42["message-back",2]`),
		"escaped reserved name":         append(hello, `> 42["\u0063onnect"]`, closed),
		"unknown ack":                   append(hello, `> 4399[1]`, `> 42["message"]`, `< 42["message-back"]`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := dial(t, url)
			for _, step := range steps {
				kind, data, _ := strings.Cut(step, " ")
				switch kind {
				case ">":
					send(t, ws, websocket.TextMessage, data)
				case ">b":
					send(t, ws, websocket.BinaryMessage, data)
				case closed:
					if got, ok := receive(ws); ok {
						t.Fatalf("expected the end, got %s", got)
					}
				default:
					got, ok := receive(ws)
					if !ok || kind == "<~" && !strings.HasPrefix(got, data) || kind != "<~" && got != data {
						t.Fatalf("%s: got %q, %v", step, got, ok)
					}
				}
			}
		})
	}
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	if open, ok := receive(ws); !ok || !strings.HasPrefix(open, "0{") {
		t.Fatalf("got %q for a handshake", open)
	}
	return ws
}

func send(t *testing.T, ws *websocket.Conn, kind int, data string) {
	t.Helper()
	if err := ws.WriteMessage(kind, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next message that is no heartbeat, or false at the end.
func receive(ws *websocket.Conn) (string, bool) {
	for {
		_, data, err := ws.ReadMessage()
		if err != nil {
			return "", false
		}
		if string(data) != "2" {
			return string(data), true
		}
	}
}

// TestClient has npm's socket.io-client do to the fixture what its own tests
// do.
func TestClient(t *testing.T) {
	url := serve(t, client(slog.New(slog.DiscardHandler)))
	n := 0
	for line := range node.Run(t, "testdata/socket.io-client.js", url).Lines {
		if !strings.HasPrefix(line, "ok ") {
			t.Error(line)
		}
		n++
	}
	if n < 13 {
		t.Errorf("%d checks ran", n)
	}
}
