package realtime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// raw is a peer on a WebSocket, for what is about the connection itself.
type raw struct {
	*peer
	ws *websocket.Conn
}

func dialRaw(t *testing.T, url string, query ...string) *raw {
	t.Helper()
	if query == nil {
		query = []string{"EIO=4"}
	}
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/socket.io/?transport=websocket&"+strings.Join(query, "&"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	ws.SetReadDeadline(time.Now().Add(patience))
	c := onWebSocket(t, ws)
	if open := c.hear(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("opened with %s", open)
	}
	return c
}

func onWebSocket(t *testing.T, ws *websocket.Conn) *raw {
	say := func(frame string) {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
			t.Error(err)
		}
	}
	hear := func() string {
		for {
			_, text, err := ws.ReadMessage()
			if err != nil {
				return err.Error()
			}
			if string(text) != "2" { // a heartbeat
				return string(text)
			}
		}
	}
	return &raw{&peer{t: t, say: say, hear: hear, end: func() { ws.Close() }}, ws}
}
