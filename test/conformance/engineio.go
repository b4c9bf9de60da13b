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
func engineIO(log *slog.Logger) server { return engineEcho(log, 200*time.Millisecond) }

func engineEcho(log *slog.Logger, pingTimeout time.Duration) server {
	engine := engineio.NewServer(engineio.Options{
		PingInterval: 300 * time.Millisecond,
		PingTimeout:  pingTimeout,
		MaxPayload:   1_000_000,
		AllowEIO3:    true,
		Logger:       log,
	}, func(s *engineio.Socket) engineio.Receiver { return echo{s} })
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	return server{mux, engine.Close}
}

type echo struct{ s *engineio.Socket }

func (e echo) Message(m engineio.Message) {
	m.Data = bytes.Clone(m.Data)
	e.s.Send(engineio.NewPacket(m), engineio.SendOptions{})
}

func (echo) Closed(engineio.Reason, error) {}
