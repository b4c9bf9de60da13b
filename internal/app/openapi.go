package app

import (
	_ "embed" // for the description
	"net/http"
)

// openapi describes the HTTP API (OpenAPI 3.1). A test holds it against the
// handlers.
//
//go:embed openapi.json
var openapi []byte

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(openapi) // a client that has gone is no error of ours
}
