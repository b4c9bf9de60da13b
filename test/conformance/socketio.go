package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
)

// socketIO is the server of the protocol suite of Socket.IO 5.
func socketIO(log *slog.Logger) server {
	return echoes(realtime.Options{
		Engine: engineio.Options{
			PingInterval: 300 * time.Millisecond,
			PingTimeout:  200 * time.Millisecond,
			MaxPayload:   1_000_000,
			CORS:         &engineio.CORS{Origins: []string{"*"}},
		},
		// The suite allows up to 2 s, and answers three pings in 300 ms each
		// before it has joined a namespace: this leaves time for both.
		ConnectTimeout: 1400 * time.Millisecond,
		Logger:         log,
	})
}

// defaults has the events of socketIO with the protocol's own timings.
func defaults(log *slog.Logger) server {
	return echoes(realtime.Options{Engine: engineio.Options{AllowEIO3: true, CORS: &engineio.CORS{Origins: []string{"*"}}}, Logger: log})
}

func echoes(o realtime.Options) server {
	io := realtime.New(o)
	for _, ns := range []*realtime.Namespace{io.Of("/"), io.Of("/custom")} {
		ns.OnConnect(func(s *realtime.Socket) { s.Emit("auth", s.Handshake().Auth) })
		realtime.OnArgs(ns, "message", func(_ context.Context, e *realtime.Event) error {
			return e.Socket.Emit("message-back", e.Args().Any()...)
		})
		realtime.OnArgs(ns, "message-with-ack", func(_ context.Context, e *realtime.Event) error {
			return e.Ack.Send(e.Args().Any()...)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	return server{mux, io.Engine().Close}
}
