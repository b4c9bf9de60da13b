package realtime

import (
	"context"
	"errors"
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
	workers *crew.Crew[*Socket] // work off inboxes
	alive   sync.WaitGroup      // of sockets, until their OnDisconnect has returned

	mu         sync.Mutex // guards all following
	plain      map[*plainLink]struct{}
	closed     bool // no new plain connections
	namespaces map[string]*Namespace
	parents    []*Parent
	created    []func(*Namespace)
}

// New returns a server. It starts nothing: goroutines come with connections
// and leave with them.
func New(o Options) *Server {
	s := &Server{o: o.withDefaults(), namespaces: make(map[string]*Namespace)}
	s.workers = crew.New(func(s *Socket) { s.inbox.work(s) })
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
	s.mu.Lock()
	n := s.namespaces[name]
	if n != nil {
		n.kept = true
		s.mu.Unlock()
		return n
	}
	var parent *Parent
	for _, p := range s.parents {
		if p.pattern != nil && p.pattern.MatchString(name) {
			parent = p
			break
		}
	}
	n = s.create(name, parent)
	n.kept = true
	created := slices.Clip(s.created)
	s.mu.Unlock()
	tell(created, n)
	return n
}

func tell(created []func(*Namespace), n *Namespace) {
	for _, fn := range created {
		fn(n)
	}
}

// create makes a namespace; s.mu is held.
func (s *Server) create(name string, parent *Parent) *Namespace {
	n := newNamespace(s, name, parent)
	s.namespaces[name] = n
	return n
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

// OnNamespace has fn run for each namespace that is made from then on.
func (s *Server) OnNamespace(fn func(*Namespace)) {
	if fn == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created = append(slices.Clip(s.created), fn)
}

// Namespaces returns those that there are.
func (s *Server) Namespaces() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Namespace, 0, len(s.namespaces))
	for _, n := range s.namespaces {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *Namespace) int { return strings.Compare(a.name, b.name) })
	return list
}

// resolve returns the namespace that a client asks for, with a socket already
// counted so that it does not go meanwhile, or nil.
func (s *Server) resolve(ctx context.Context, name string, auth Value) *Namespace {
	if n := s.enter(name); n != nil {
		return n
	}
	s.mu.Lock()
	parents := s.parents
	s.mu.Unlock()
	for _, p := range parents {
		if !p.allow(ctx, name, auth) {
			continue
		}
		s.mu.Lock()
		n, made := s.namespaces[name], false
		if n == nil {
			n, made = s.create(name, p), true
		}
		n.count++
		created := s.created
		s.mu.Unlock()
		if made {
			tell(created, n)
		}
		return n
	}
	return nil
}

func (s *Server) enter(name string) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[name]
	if n != nil {
		n.count++
	}
	return n
}

// exit is called when a socket that has entered is gone. Namespaces that
// clients had made go with their last socket, so that strangers cannot make
// the server grow; those that recover stay, for the sessions that they keep.
func (s *Server) exit(n *Namespace) {
	s.mu.Lock()
	n.count--
	remove := n.count == 0 && n.parent != nil && !n.kept && !n.recovers()
	if remove {
		delete(s.namespaces, n.name)
	}
	s.mu.Unlock()
	if remove {
		n.close()
	}
}

func (n *Namespace) close() {
	if err := n.adapter.Close(); err != nil {
		n.server.o.Logger.Error("closing adapter", "nsp", n.name, "err", err)
	}
}

// accept is called by the engine for each new session.
func (s *Server) accept(es *engineio.Socket) engineio.Receiver {
	c := newConn(s, es)
	if es.Protocol() == 3 {
		c.legacy = true
		c.decoder = packet.JSON.NewDecoder(s.o.Limits)
		c.join(&packet.Packet{Type: packet.Connect, Namespace: "/"}, "")
	}
	return c
}

// farewellWait bounds how long Shutdown waits for clients to take notice: one
// that polls may be between two polls, or gone.
const farewellWait = 2 * time.Second

// Shutdown ends all sessions as "server shutting down", for which clients
// come back by themselves, and returns when all handlers have, or with the
// error of ctx. New sessions are refused.
func (s *Server) Shutdown(ctx context.Context) error {
	farewell, cancel := context.WithTimeout(ctx, farewellWait)
	defer cancel()
	err := s.engine.Shutdown(farewell)
	s.closePlain()
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
		n.close()
	}
	return err
}
