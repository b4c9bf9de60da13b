package realtime

import (
	"encoding/json"
	"net/http"

	"github.com/gorilla/websocket"
)

// Plain returns a handler that lets WebSocket clients without any library into
// a namespace, where they are sockets like all others: see packet.Plain for
// what they send and receive. What the client would send to join, Socket.Auth,
// are the values of the URL's query.
//
// Heartbeats are the WebSocket's own. The limits and the origin policy are
// those of Options.Engine.
func (s *Server) Plain(namespace string) http.Handler {
	name := s.Of(namespace).Name()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.servePlain(w, r, name) })
}

func (s *Server) servePlain(w http.ResponseWriter, r *http.Request, namespace string) {
	o := &s.o.Engine
	if o.AllowRequest != nil {
		if err := o.AllowRequest(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(r *http.Request) bool {
		return o.Origin == nil || r.Header.Get("Origin") == "" || o.Origin(r)
	}}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	l := newPlainLink(s, ws, r)
	if !s.addPlain(l) {
		l.Close(ReasonShutdown)
	}
	l.serve(namespace)
	s.removePlain(l)
}

func (s *Server) addPlain(l *plainLink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.plain == nil {
		s.plain = make(map[*plainLink]struct{})
	}
	s.plain[l] = struct{}{}
	return true
}

func (s *Server) removePlain(l *plainLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.plain, l)
}

func (s *Server) closePlain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.plain {
		l.Close(ReasonShutdown)
	}
}

// queryAuth is the object of the query's values.
func queryAuth(r *http.Request) json.RawMessage {
	text, err := json.Marshal(firstValues(r, ""))
	if err != nil {
		return nil // strings cannot fail
	}
	return text
}
