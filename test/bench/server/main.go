// Command server is the complete server with its defaults, for load tests:
// echo answers with its arguments, join and leave a room, pub sends msg to a
// room. It listens on 127.0.0.1:$PORT.
package main

import (
	"cmp"
	"context"
	"log"
	"net/http"
	"os"

	"server22.local/appliance/internal/gcpace"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
)

func main() {
	defer gcpace.Start()() // as the appliance does
	io := realtime.New(realtime.Options{Engine: engineio.Options{MaxPayload: 10_000_000}})
	realtime.OnArgs(io, "echo", func(_ context.Context, e *realtime.Event) error {
		defer e.Release()
		return e.Ack.Send(e.Args().Any()...)
	})
	realtime.On(io, "join", func(_ context.Context, s *realtime.Socket, room string) error {
		s.Join(room)
		return nil
	})
	realtime.On(io, "leave", func(_ context.Context, s *realtime.Socket, room string) error {
		s.Leave(room)
		return nil
	})
	realtime.On2(io, "pub", func(_ context.Context, _ *realtime.Socket, room string, data realtime.Value) error {
		return io.To(room).Emit("msg", data)
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	listeners, err := httpd.Listen(context.Background(), []string{"127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "9000")})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listeners[0], mux))
}
