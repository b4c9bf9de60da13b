package realtime_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// raw is a client that speaks frame by frame.
type raw struct {
	t  *testing.T
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
	ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	c := &raw{t, ws}
	if open := c.hear(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("opened with %s", open)
	}
	return c
}

func (c *raw) say(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// hear returns the next message that is no heartbeat, or what ended the
// connection.
func (c *raw) hear() string {
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			return err.Error()
		}
		if string(text) != "2" {
			return string(text)
		}
	}
}

func (c *raw) expect(want string) {
	c.t.Helper()
	if got := c.hear(); got != want {
		c.t.Fatalf("got %s, want %s", got, want)
	}
}

// connect joins the main namespace.
func (c *raw) connect() *raw {
	c.t.Helper()
	c.say("40")
	c.greeting()
	return c
}

// greeting reads the server's CONNECT.
func (c *raw) greeting() (sid, pid string) {
	c.t.Helper()
	text := c.hear()
	var ids struct{ SID, PID string }
	if !strings.HasPrefix(text, "40") || json.Unmarshal([]byte(text[2:]), &ids) != nil {
		c.t.Fatalf("greeted with %s", text)
	}
	return ids.SID, ids.PID
}

// offset reads an event that begins so and ends with an offset.
func (c *raw) offset(prefix string) string {
	c.t.Helper()
	text := c.hear()
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		c.t.Fatalf("got %s, want %s", text, prefix)
	}
	return strings.TrimSuffix(rest, `"]`)
}
