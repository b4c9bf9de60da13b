package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"time"

	"server22.local/appliance/realtime/engineio"
)

// engineIO is the server of the protocol suites of Engine.IO 4 and 3: it
// echoes, with fast heartbeats.
func engineIO(log *slog.Logger) http.Handler { return engineEcho(log, 200*time.Millisecond) }

func engineEcho(log *slog.Logger, pingTimeout time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engineio.NewServer(engineio.Options{
		PingInterval: 300 * time.Millisecond,
		PingTimeout:  pingTimeout,
		MaxPayload:   1_000_000,
		AllowEIO3:    true,
		Logger:       log,
	}, func(s *engineio.Socket) engineio.Receiver { return echo{s} }))
	return mux
}

type echo struct{ s *engineio.Socket }

func (e echo) Message(m engineio.Message) {
	m.Data = bytes.Clone(m.Data)
	e.s.Send(engineio.NewPacket(m), engineio.SendOptions{})
}

func (echo) Closed(engineio.Reason, error) {}
