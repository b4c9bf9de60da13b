package history_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/history"
)

// A whiteboard that nobody who comes late, or comes back, sees empty.
func ExampleKeep() {
	ctx := context.Background() // of the program
	io := realtime.New(realtime.Options{})
	ns := io.Of("/board")
	board := history.Keep(ctx, ns, history.Options{
		Log:    history.NewMemory(history.Retention{Count: 10_000, Age: 24 * time.Hour}, 64<<20),
		Events: []string{"drawn"},
	})
	// socket.emit("join", "blue", lastSeen): 0 or "all" for everything, "10m"
	// for the last ten minutes.
	realtime.On2(ns, "join", func(ctx context.Context, s *realtime.Socket, room string, since history.Since) error {
		_, err := board.Join(ctx, s, room, since)
		return err
	})
	realtime.On2(ns, "draw", func(_ context.Context, s *realtime.Socket, room string, line []float64) error {
		return s.To(room).Emit("drawn", line) // arrives as ("drawn", line, number)
	})
	http.Handle("/socket.io/", io)
}

func ExampleMemory() {
	log := history.NewMemory(history.Retention{Count: 2}, 0)
	for _, text := range []string{"one", "two", "three"} {
		log.Append(history.Message{Channel: "lobby", Time: time.Now(), Data: []byte(text)}, func(r history.Receipt, err error) {
			fmt.Println(r.Seq, err)
		})
	}
	kept, err := log.Read(context.Background(), history.Query{Channel: "lobby"})
	if err != nil {
		fmt.Println(err)
	}
	for _, m := range kept {
		fmt.Println(m.Seq, string(m.Data))
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
	// 2 two
	// 3 three
}
