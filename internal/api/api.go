package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/chat"
	"server22.local/appliance/internal/problem"
)

// Config says what is served.
type Config struct {
	Bus  *bus.Bus
	Chat *chat.Chat
	// Admin says whether a request is the administrator's; nil: none is.
	Admin func(*http.Request) bool
	// MaxBody bounds a body or frame, in bytes; 0 means 1,000,000.
	MaxBody int64
	// Rate bounds the writes a second of one address, or of one WebSocket,
	// after a burst; 0 means 2000, after 10,000.
	Rate  float64
	Burst int
	// Logger hears of what goes wrong here; nil discards it.
	Logger *slog.Logger
}

// API is the handlers. Mount them with Routes, and Close it when the server
// ends.
type API struct {
	cfg     Config
	writers writers

	done  chan struct{}
	close func()
}

// New returns the handlers. It starts nothing.
func New(cfg Config) *API {
	if cfg.Admin == nil {
		cfg.Admin = func(*http.Request) bool { return false }
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1_000_000
	}
	if cfg.Rate == 0 {
		cfg.Rate = 2000
	}
	if cfg.Burst == 0 {
		cfg.Burst = 10_000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &API{cfg: cfg, done: make(chan struct{})}
	a.writers = newWriters(cfg.Rate, cfg.Burst)
	a.close = sync.OnceFunc(func() { close(a.done) })
	return a
}

// Routes yields the patterns of http.ServeMux and their handlers.
func (a *API) Routes() iter.Seq2[string, http.Handler] {
	routes := map[string]http.HandlerFunc{
		"/ws":                           a.serveWS,
		"/echo":                         a.serveEcho,
		"/api/v1/topics":                a.serveTopicList,
		"/api/v1/topics/{topic...}":     a.serveTopic,
		"/api/v1/rooms":                 a.serveRoomList,
		"/api/v1/rooms/{room}/messages": a.serveMessages,
	}
	return func(yield func(string, http.Handler) bool) {
		for pattern, handler := range routes {
			if !yield(pattern, handler) {
				return
			}
		}
	}
}

// Close ends streams and WebSockets: clients come back by themselves. It does
// not wait for them, and may be called more than once.
func (a *API) Close() { a.close() }

// refuse answers with what went wrong.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has gone
	}
	p, ok := errors.AsType[problem.Problem](err)
	switch {
	case ok:
	case isTooLarge(err):
		p = tooLarge(a.cfg.MaxBody)
	default:
		a.cfg.Logger.Error("answering a request", "method", r.Method, "path", r.URL.Path, "err", err)
		p = problem.New(http.StatusInternalServerError, "internal", "something went wrong here", "the log of the server says what")
	}
	if p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	problem.Write(w, p)
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

func isNotFound(err error) bool {
	p, ok := errors.AsType[problem.Problem](err)
	return ok && p.Status == http.StatusNotFound
}

func badRequest(code, detail, hint string) error {
	return problem.New(http.StatusBadRequest, code, detail, hint)
}

// allow refuses a method that a path does not know.
func (a *API) allow(w http.ResponseWriter, r *http.Request, methods string, known ...string) bool {
	for _, m := range known {
		if r.Method == m || r.Method == http.MethodHead && m == http.MethodGet {
			return true
		}
	}
	w.Header().Set("Allow", methods)
	a.refuse(w, r, problem.New(http.StatusMethodNotAllowed, "bad_method", r.Method+" means nothing here", "use one of "+methods))
	return false
}

// answer writes a value as JSON.
func (a *API) answer(w http.ResponseWriter, r *http.Request, v any) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		a.refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = text.WriteTo(w) // a client that has gone is no error of ours
}

// address is the client's, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
