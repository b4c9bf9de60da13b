package main

import (
	"log/slog"
	"net/http"

	"server22.local/appliance/realtime/engineio"
)

// engineClient is the server of engine.io-client's own tests.
func engineClient(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engineio.NewServer(engineio.Options{Logger: log},
		func(s *engineio.Socket) engineio.Receiver { return echo{s} }))
	return mux
}
