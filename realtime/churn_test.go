package realtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime"
)

// TestChurn has 2,000 clients come, talk and go in all the ways in which
// clients go, and looks at what is left behind.
func TestChurn(t *testing.T) {
	clients := 2000
	if testing.Short() {
		clients = 200
	}
	io := realtime.New(realtime.Options{})
	rooms(io)
	rooms(io.Of("/other"))
	realtime.On0(io, "kick me", func(_ context.Context, s *realtime.Socket) error { s.Disconnect(); return nil })
	realtime.On0(io, "ask me", func(ctx context.Context, s *realtime.Socket) error {
		_, err := realtime.Ask[int](ctx, s, "never answered")
		return err
	})
	url := serve(t, io)

	var churners sync.WaitGroup
	turns := make(chan int)
	for range 50 {
		churners.Go(func() {
			for n := range turns {
				if err := churn(url, n); err != nil {
					t.Errorf("client %d: %v", n, err)
				}
			}
		})
	}
	asking, stop := context.WithCancel(t.Context())
	churners.Go(func() {
		for asking.Err() == nil {
			for range realtime.AskAll[int](asking, io.To("room1").Timeout(20*time.Millisecond), "poll") {
			}
			io.To("room2").Emit("noise", []byte("bytes"))
		}
	})
	for n := range clients {
		turns <- n
	}
	close(turns)
	stop()
	churners.Wait()

	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		other := io.Of("/other")
		left := io.Len() + other.Len() + len(io.Rooms()) + len(other.Rooms()) + io.Engine().Clients()
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %d and %d sockets, %v %v, %d sessions", io.Len(), other.Len(), io.Rooms(), other.Rooms(), io.Engine().Clients())
		}
	}
}

// churn is the life of one client.
func churn(url string, n int) error {
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	frames := []string{"40", "40/other,", fmt.Sprintf(`421["join","room%d"]`, n%5), `42/other,2["join","room"]`, fmt.Sprintf(`42["say","room%d",{"n":%d}]`, n%5, n)}
	for _, f := range frames {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(f)); err != nil {
			return err
		}
	}
	for acks := 0; acks < 2; {
		_, text, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(text), "43") {
			acks++
		}
	}
	farewell := []string{"", "41", "1", `42["kick me"]`, `42["ask me"]`, `451-["x",{"_placeholder":true,"num":0}]`, "4garbage"}[rand.N(7)]
	if farewell != "" {
		err = ws.WriteMessage(websocket.TextMessage, []byte(farewell))
	}
	return err
}

func TestBadRequestsLeaveNothing(t *testing.T) {
	io := realtime.New(realtime.Options{})
	url := serve(t, io)
	for _, query := range []string{"", "EIO=9&transport=polling", "EIO=4&transport=polling&sid=nobody", "EIO=4&transport=pigeon"} {
		resp, err := http.Get(url + "/socket.io/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", query, resp.StatusCode)
		}
	}
	if n := io.Engine().Clients(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}
