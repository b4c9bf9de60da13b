package realtimetest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newChat() *realtime.Server {
	io := realtime.New(realtime.Options{})
	chat := io.Of("/chat")
	realtime.On2(chat, "say", func(_ context.Context, s *realtime.Socket, room, text string) error {
		return chat.To(room).Emit("said", text, s.ID())
	})
	realtime.On(chat, "join", func(_ context.Context, s *realtime.Socket, room string) error {
		s.Join(room)
		return nil
	})
	realtime.Handle(chat, "double", func(_ context.Context, _ *realtime.Socket, n int) (int, error) { return 2 * n, nil })
	return io
}

func talk(t *testing.T, server *realtimetest.Server) {
	alice, bob := server.Client("/chat"), server.Client("/chat")
	said := realtimetest.Events[client.Args](t, bob, "said")
	realtimetest.Ask[any](t, bob, "join", "lobby")
	if err := alice.Emit("say", "lobby", "hello"); err != nil {
		t.Fatal(err)
	}
	var text, from string
	if err := said().Scan(&text, &from); err != nil || text != "hello" || from != alice.ID() {
		t.Errorf("%q said %q, %v", from, text, err)
	}
	if n := realtimetest.Ask[int](t, alice, "double", 21); n != 42 {
		t.Errorf("twice 21 is %d", n)
	}
}

func TestTalk(t *testing.T) { talk(t, realtimetest.NewServer(t, newChat())) }

func TestTalkInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { talk(t, realtimetest.NewServer(t, newChat())) })
}

// Half a day of heartbeats, and a pulled plug, take no time.
func TestHalfDay(t *testing.T) {
	for _, transports := range [][]string{{client.Polling}, {client.WebSocket}, {client.Polling, client.WebSocket}} {
		t.Run(strings.Join(transports, "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := realtimetest.NewServer(t, newChat())
				o := server.Options()
				o.Transports = transports
				c := server.New(o)
				s := c.Of("/chat")
				lost := 0
				s.OnDisconnect(func(*client.Socket, client.Reason) { lost++ })
				server.Connect(c)
				id := s.ID()
				time.Sleep(12 * time.Hour)
				if realtimetest.Ask[int](t, s, "double", 1); s.ID() != id || lost != 0 {
					t.Errorf("lost the connection %d times in half a day", lost)
				}
				server.Unplug()
				time.Sleep(time.Minute)
				server.Plug()
				if realtimetest.Ask[int](t, s, "double", 1); s.ID() == id || lost != 1 {
					t.Errorf("lost the connection %d times, id %q and before %q", lost, s.ID(), id)
				}
			})
		})
	}
}

func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	server := realtimetest.NewServer(t, mux)
	resp, err := server.HTTP().Get(server.URL + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello" {
		t.Errorf("got %q", body)
	}
}
