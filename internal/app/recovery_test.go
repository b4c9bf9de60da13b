package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// TestClientsGoOnAfterARestart: a client of a namespace that is to recover
// comes back to its session, and has what it missed.
func TestClientsGoOnAfterARestart(t *testing.T) {
	dir, text := t.TempDir(), "realtime.recover = ['/relay/game']"
	first, stop := startIn(t, dir, text)
	one, other := join(t, first.url, ""), join(t, first.url, "")
	stop()

	second, stop := startIn(t, dir, text)
	defer stop()
	again := join(t, second.url, `{"pid":"`+one.PID+`"}`)
	if again.SID != one.SID || again.PID != one.PID {
		t.Errorf("%s came back as %s", one.SID, again.SID)
	}
	other = join(t, second.url, `{"pid":"`+other.PID+`"}`)
	if err := other.ws.WriteMessage(websocket.TextMessage, []byte(`42/relay/game,["move",1]`)); err != nil {
		t.Fatal(err)
	}
	if got := again.hear(t); !strings.HasPrefix(got, `42/relay/game,["move",1,"`) {
		t.Errorf("got %s", got)
	}
	if none := join(t, second.url, `{"pid":"a stranger's"}`); none.SID == one.SID {
		t.Error("a stranger has the session")
	}
}

// player is a client of the namespace.
type player struct {
	SID, PID string

	ws *websocket.Conn
}

func join(t *testing.T, url, auth string) *player {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	p := &player{ws: ws}
	p.hear(t) // the engine's handshake
	if err := ws.WriteMessage(websocket.TextMessage, []byte("40/relay/game,"+auth)); err != nil {
		t.Fatal(err)
	}
	if text := p.hear(t); json.Unmarshal([]byte(strings.TrimPrefix(text, "40/relay/game,")), p) != nil || p.PID == "" {
		t.Fatalf("greeted with %s", text)
	}
	return p
}

func (p *player) hear(t *testing.T) string {
	t.Helper()
	_, text, err := p.ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
