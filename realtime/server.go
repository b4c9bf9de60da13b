package realtime

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"server22.local/appliance/realtime/clientdist"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/internal/crew"
	"server22.local/appliance/realtime/packet"
)

// Server is a Socket.IO server. It is an http.Handler, to be mounted at
// /socket.io/. The embedded Namespace is the main one, "/": io.Emit reaches
// all of its sockets.
type Server struct {
	*Namespace
	o       Options
	engine  *engineio.Server
	workers *crew.Crew[engineio.Worker] // work off inboxes
	alive   sync.WaitGroup              // what Shutdown waits for; see begin
	created list[func(*Namespace)]

	mu         sync.Mutex // guards all following
	closed     bool       // nothing begins any more
	plain      map[*plainLink]struct{}
	namespaces map[string]*Namespace
	making     map[string]chan struct{} // those that somebody makes; closed when that is done
	empty      []*Namespace             // without sockets, but with sessions that may come back; the oldest first
	parents    []*Parent
}

// New returns a server. It starts nothing: goroutines come with connections
// and leave with them.
func New(o Options) *Server {
	s := &Server{o: o.withDefaults(), namespaces: make(map[string]*Namespace), making: make(map[string]chan struct{})}
	s.workers = crew.New(func(w engineio.Worker) { w.Work() })
	s.Namespace = s.Of("/")
	s.engine = engineio.NewServer(s.o.Engine, s.accept)
	return s
}

// ServeHTTP serves the protocol, and the JavaScript client unless
// Options.NoClient.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.o.NoClient && !strings.HasSuffix(r.URL.Path, "/") && s.serveClient(w, r) {
		return
	}
	s.engine.ServeHTTP(w, r)
}

func (s *Server) serveClient(w http.ResponseWriter, r *http.Request) bool {
	if s.o.Engine.CORS != nil && strings.HasPrefix(path.Base(r.URL.Path), "socket.io.") && s.o.Engine.CORS.Apply(w.Header(), r) {
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	return clientdist.Serve(w, r)
}

// Engine returns the Engine.IO server beneath.
func (s *Server) Engine() *engineio.Server { return s.engine }

// Of returns the namespace of a name, and makes it if it is not there. A
// leading slash may be left out. If the name is one that a Parent makes, the
// namespace is the parent's.
func (s *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return s.obtain(name, s.parentOf(name), (*Namespace).keep)
}

// parentOf returns the parent whose pattern a name matches, or nil.
func (s *Server) parentOf(name string) *Parent {
	for _, p := range s.allParents() {
		if p.pattern != nil && p.pattern.MatchString(name) {
			return p
		}
	}
	return nil
}

func (s *Server) allParents() []*Parent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parents
}

// OfPattern returns a Parent that makes the namespaces whose names match, when
// a client asks for one. The pattern should be anchored (^…$); nil matches
// nothing.
func (s *Server) OfPattern(pattern *regexp.Regexp) *Parent {
	if pattern == nil {
		return s.OfFunc(nil)
	}
	p := s.OfFunc(func(_ context.Context, name string, _ Value) bool { return pattern.MatchString(name) })
	p.pattern = pattern
	return p
}

// OfFunc returns a Parent that makes the namespaces for which allow returns
// true, when a client asks for one that is not there. auth is what the client
// sent with its request. Parents are asked in the order in which they were
// made. A nil allow allows none.
func (s *Server) OfFunc(allow func(ctx context.Context, name string, auth Value) bool) *Parent {
	if allow == nil {
		allow = func(context.Context, string, Value) bool { return false }
	}
	p := &Parent{server: s, allow: allow}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents = append(slices.Clip(s.parents), p)
	return p
}

// OnNamespace has fn run for each namespace that is made from then on, before
// clients get into it, until remove is called.
func (s *Server) OnNamespace(fn func(*Namespace)) (remove func()) {
	if fn == nil {
		return func() {}
	}
	return s.created.add(fn)
}

// Namespaces returns those that there are.
func (s *Server) Namespaces() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Collect(maps.Values(s.namespaces))
	slices.SortFunc(list, func(a, b *Namespace) int { return strings.Compare(a.name, b.name) })
	return list
}

// accept is called by the engine for each new session.
func (s *Server) accept(es *engineio.Socket) engineio.Receiver {
	c := newConn(s, es)
	if es.Protocol() == 3 {
		c.legacy, c.codec = true, legacyCodec
		c.decoder = packet.JSON.NewDecoder(s.o.Limits)
		c.join(&packet.Packet{Type: packet.Connect, Namespace: "/"}, "")
	}
	return c
}

// queueBytes is the limit of the send queue of a connection.
func (s *Server) queueBytes() int {
	if n := s.o.Engine.Queue.Bytes; n > 0 {
		return n
	}
	return engineio.DefaultQueueBytes
}

// begin counts something that Shutdown waits for until alive.Done. It returns
// false when nothing may begin any more.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.alive.Add(1)
	}
	return !s.closed
}

// farewellWait bounds how long Shutdown waits for clients to take notice: one
// that polls may be between two polls, or gone.
const farewellWait = 2 * time.Second

// Shutdown ends all sessions as "server shutting down", for which clients
// come back by themselves, and returns when all handlers have, or with the
// error of ctx. New sessions are refused.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	farewell, cancel := context.WithTimeout(ctx, farewellWait)
	defer cancel()
	err := s.engine.Shutdown(farewell)
	if ctx.Err() == nil {
		err = nil // those who have not fetched their farewell by now have left
	}
	ended := make(chan struct{})
	go func() {
		s.alive.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
	for _, n := range s.Namespaces() {
		s.mu.Lock()
		n.reclaim()
		s.mu.Unlock()
		n.close()
	}
	return err
}
