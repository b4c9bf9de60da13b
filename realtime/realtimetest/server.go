package realtimetest

import (
	"context"
	"errors"
	"log"
	"net/http"
	"testing"
	"time"

	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest/memnet"
)

// patience is how long anything may take before a test fails. Within synctest
// it is no time at all.
const patience = 30 * time.Second

// Server serves a handler in memory. Its methods are safe for concurrent use,
// but those that can fail the test belong to the test's goroutine.
type Server struct {
	// URL is what clients connect to. It means nothing outside of the
	// server's own network.
	URL string

	t        testing.TB
	network  *memnet.Listener
	http     *http.Server
	shutdown func(context.Context) error
}

// NewServer serves handler, which is a *realtime.Server or has one mounted at
// /socket.io/. At the end of the test, the handler is shut down, if it has a
// method Shutdown(context.Context) error as *realtime.Server has.
func NewServer(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	s := &Server{
		URL:     "http://realtime.test",
		t:       t,
		network: memnet.Listen(),
		http:    &http.Server{Handler: handler, ErrorLog: log.New(t.Output(), "", 0)},
	}
	if h, ok := handler.(interface{ Shutdown(context.Context) error }); ok {
		s.shutdown = h.Shutdown
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.http.Serve(s.network); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving in memory: %v", err)
		}
	}()
	t.Cleanup(func() {
		s.close()
		<-served
	})
	return s
}

func (s *Server) close() {
	// Longer than the server waits for a poll to say goodbye to.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 2*patience)
	defer cancel()
	if s.shutdown != nil {
		if err := s.shutdown(ctx); err != nil {
			s.t.Errorf("shutting down: %v", err)
		}
	}
	s.http.Close()
	s.network.Cut()
}

// Options returns those with which a client reaches the server. It reconnects
// quickly, and more slowly the longer the server is away: an hour in which
// nobody answers is to cost a test no time.
func (s *Server) Options() client.Options {
	return client.Options{
		DialContext:       s.network.DialContext,
		ReconnectDelay:    10 * time.Millisecond,
		ReconnectDelayMax: 5 * time.Second,
	}
}

// New returns a client that is not yet run, so that handlers can be added
// before it connects. It is closed at the end of the test. Options are those of
// [Server.Options], changed.
func (s *Server) New(o client.Options) *client.Client {
	s.t.Helper()
	c, err := client.New(s.URL, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// Connect connects a client that [Server.New] has returned, or fails the test.
func (s *Server) Connect(c *client.Client) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		s.t.Fatalf("connecting: %v", err)
	}
	s.t.Cleanup(func() {
		c.Close()
		if err := c.Wait(); err != nil {
			s.t.Errorf("client: %v", err)
		}
	})
}

// Client returns a socket that is connected to the namespace, on a client and
// a connection of its own.
func (s *Server) Client(namespace string) *client.Socket {
	s.t.Helper()
	c := s.New(s.Options())
	socket := c.Of(namespace)
	s.Connect(c)
	return socket
}

// HTTP returns a client for requests to the server's handler.
func (s *Server) HTTP() *http.Client {
	transport := &http.Transport{DialContext: s.network.DialContext}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// Cut breaks all connections. Clients can connect again at once.
func (s *Server) Cut() { s.network.Cut() }

// Unplug breaks all connections and lets nobody connect until [Server.Plug].
func (s *Server) Unplug() { s.network.Unplug() }

// Plug lets clients connect again.
func (s *Server) Plug() { s.network.Plug() }
