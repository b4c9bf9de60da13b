package realtime

import (
	"slices"
	"time"
)

// The lives of namespaces: those that the program has named stay, those that
// clients have had made by a Parent go with the last who may want them.

// obtain returns the namespace of a name, and makes it, as one of parent's, if
// it is not there. hold is called with s.mu held, and keeps it from going.
func (s *Server) obtain(name string, parent *Parent, hold func(*Namespace)) *Namespace {
	for {
		s.mu.Lock()
		n, making := s.namespaces[name], s.making[name]
		if n != nil {
			hold(n)
			s.mu.Unlock()
			return n
		}
		if making == nil {
			making = make(chan struct{})
			s.making[name] = making
			s.mu.Unlock()
			return s.create(name, parent, hold)
		}
		s.mu.Unlock()
		<-making
	}
}

// create makes a namespace that obtain has announced. What it calls may be the
// program's, and use the server, so no lock is held.
func (s *Server) create(name string, parent *Parent, hold func(*Namespace)) *Namespace {
	n := s.publish(name, parent, hold)
	defer close(n.ready)
	for _, fn := range s.created.all() {
		(*fn)(n)
	}
	return n
}

// publish makes a namespace and lists it.
func (s *Server) publish(name string, parent *Parent, hold func(*Namespace)) (n *Namespace) {
	defer func() { // also in a panic, as others wait
		s.mu.Lock()
		defer s.mu.Unlock()
		if n != nil {
			s.namespaces[name] = n
			hold(n)
		}
		close(s.making[name])
		delete(s.making, name)
	}()
	return newNamespace(s, name, parent)
}

// keep has a namespace stay; server.mu is held.
func (n *Namespace) keep() {
	n.kept = true
	n.reclaim()
}

// enter has a socket count in a namespace, which it leaves when it finishes;
// server.mu is held.
func (s *Socket) enter(n *Namespace) {
	n.count++
	n.reclaim()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ns = n
}

// resolve has a socket enter the namespace that its client asks for. It returns
// nil if there is none.
func (s *Server) resolve(socket *Socket, auth Value) *Namespace {
	n := s.find(socket)
	if n == nil {
		n = s.allowed(socket, auth)
	}
	if n != nil {
		<-n.ready
	}
	return n
}

// find has a socket enter its namespace if that is there, or returns nil.
func (s *Server) find(socket *Socket) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[socket.name]
	if n != nil {
		socket.enter(n)
	}
	return n
}

// allowed has a socket enter a namespace that a parent makes for it, or returns
// nil.
func (s *Server) allowed(socket *Socket, auth Value) *Namespace {
	for _, p := range s.allParents() {
		if p.allow(socket.Context(), socket.name, auth) {
			return s.obtain(socket.name, p, socket.enter)
		}
	}
	return nil
}

// exit is called when a socket that has entered is gone.
func (s *Server) exit(n *Namespace) {
	s.mu.Lock()
	n.count--
	unused := n.unused()
	s.mu.Unlock()
	if unused {
		s.retire(n)
	}
}

// unused reports whether a namespace is there for those only who may come back;
// server.mu is held.
func (n *Namespace) unused() bool {
	return n.count == 0 && n.parent != nil && !n.kept && n.server.namespaces[n.name] == n
}

// maxEmpty bounds how many namespaces strangers can leave behind by leaving.
const maxEmpty = 1024

// retire removes an unused namespace, or sees to it that it is removed when its
// last session can come back no more.
func (s *Server) retire(n *Namespace) {
	wait := time.Until(n.recoverableUntil())
	s.mu.Lock()
	gone := n
	switch {
	case !n.unused():
		gone = nil
	case wait > 0 && !s.closed:
		gone = s.postpone(n, wait)
	}
	if gone != nil {
		gone.reclaim()
		delete(s.namespaces, gone.name)
	}
	s.mu.Unlock()
	if gone != nil {
		gone.close()
	}
}

// postpone lists a namespace as empty, and returns what has to go for it; mu is
// held.
func (s *Server) postpone(n *Namespace, wait time.Duration) (gone *Namespace) {
	n.reclaim()
	n.retirement = time.AfterFunc(wait, func() {
		if s.begin() { // else Shutdown closes it
			defer s.alive.Done()
			s.retire(n)
		}
	})
	s.empty = append(s.empty, n)
	if len(s.empty) > maxEmpty {
		return s.empty[0]
	}
	return nil
}

// reclaim takes a namespace off those that are to go; server.mu is held.
func (n *Namespace) reclaim() {
	if n.retirement == nil {
		return
	}
	n.retirement.Stop()
	n.retirement = nil
	s := n.server
	if i := slices.Index(s.empty, n); i >= 0 {
		s.empty = slices.Delete(s.empty, i, i+1)
	}
}
