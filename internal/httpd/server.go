package httpd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"server22.local/appliance/internal/problem"
)

// Config is what a Server needs.
type Config struct {
	Listeners []net.Listener // already open; the server closes them
	Guard     *Guard
	Log       *slog.Logger
	MaxBody   int64            // bytes; of one request
	Uploads   map[string]int64 // by path: where larger ones are taken; the handler asks who sends before it reads
	MaxConns  int64            // at once, WebSockets not counted
	LastCall  time.Duration    // at the end, how long open connections may ask once more
	// Literal are the prefixes of paths that end in data: what stands after
	// them, // and dots included, is taken as it is and never cleaned.
	Literal []string
}

// Server answers HTTP on every listener. Parts put their handlers on it with
// Handle before Run.
type Server struct {
	cfg   Config
	mux   *http.ServeMux
	limit connLimit
	ready chan struct{}
	http  http.Server

	ending   atomic.Bool // the last answers are being given
	patterns []string    // before Run
}

// New returns a server that does nothing until Run.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, mux: http.NewServeMux(), ready: make(chan struct{})}
	s.limit.max, s.limit.empty = cfg.MaxConns, make(chan struct{}, 1)
	s.http = http.Server{
		Handler:           s.lastAnswers(cfg.Guard.Wrap(limitBody(bodyLimits{cfg.MaxBody, cfg.Uploads}, baseline(literal(cfg.Literal, s.mux))))),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         s.limit.connState,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Handle puts a handler on a pattern of http.ServeMux. Call it before Run.
func (s *Server) Handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, h)
	s.patterns = append(s.patterns, pattern)
}

// Patterns lists what Handle was called with.
func (s *Server) Patterns() []string { return slices.Clone(s.patterns) }

// NotFound answers for what nothing else on the server answers: 405 where
// another method would do, else 404. Its own pattern is the one it is put on.
func (s *Server) NotFound(own string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed := s.otherMethods(r, own); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			problem.Write(w, problem.New(http.StatusMethodNotAllowed, "wrong_method", r.Method+" is not for "+r.URL.Path, "use "+strings.Join(allowed, " or ")))
			return
		}
		problem.Write(w, problem.New(http.StatusNotFound, "not_found", "there is nothing at "+r.URL.Path, "/ has the ways in, /docs/ the reference"))
	})
}

func (s *Server) otherMethods(r *http.Request, own string) (allowed []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); method != r.Method && pattern != own && pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// Handler is what the server serves, for tests without a network.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Ready is closed once requests are answered.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// OnShutdown calls f when the last call is over, before Run waits for requests
// to finish: what holds requests open (streams, polls) lets go of them there.
// Call it before Run.
func (s *Server) OnShutdown(f func()) { s.http.RegisterOnShutdown(f) }

// Run serves until the context ends. Then it accepts no more, answers what open
// connections still ask, for as long as LastCall, and gives the requests that
// are being answered the grace time.
//
// http.Server.Shutdown by itself is too hasty for that: what it has accepted and
// not yet read, and what clients send on connections that they keep, gets
// nothing. Where another process holds the ports meanwhile, as systemd does,
// with the last call no request is lost.
func (s *Server) Run(ctx context.Context, grace time.Duration) error {
	var group errgroup.Group
	for _, l := range s.cfg.Listeners {
		group.Go(func() error {
			if err := s.http.Serve(s.limit.listen(l)); ctx.Err() == nil {
				return fmt.Errorf("serving on %v: %w", l.Addr(), err)
			}
			return nil
		})
	}
	stop := context.AfterFunc(ctx, func() {
		s.ending.Store(true)
		closeAll(s.cfg.Listeners)
	})
	close(s.ready)
	err := group.Wait() // nothing is accepted, and all that was is counted
	if !stop() {
		s.limit.drain(s.cfg.LastCall)
		s.shutdown(grace)
	}
	return err
}

// shutdown waits for requests for as long as the grace time, then cuts them.
func (s *Server) shutdown(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace) // ctx has ended already
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
}

// lastAnswers tells clients, at the end, to ask elsewhere next time.
func (s *Server) lastAnswers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.ending.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// baseline sets the headers that are right for everything; handlers of pages
// set their own policy.
func baseline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// Stats counts what has come in.
type Stats struct {
	Open     int64 // connections now, WebSockets not counted
	Rejected int64 // connections, because there were too many
}

// Stats may be called at any time.
func (s *Server) Stats() Stats {
	return Stats{Open: s.limit.open.Load(), Rejected: s.limit.rejected.Load()}
}
