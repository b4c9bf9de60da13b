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
// those of Options.Engine. Of the subprotocols that a client offers, the first
// is answered; it means nothing.
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
	if !s.begin() {
		http.Error(w, string(ReasonShutdown), http.StatusServiceUnavailable)
		return
	}
	defer s.alive.Done()
	upgrader := websocket.Upgrader{
		CheckOrigin: func(r *http.Request) bool {
			return o.Origin == nil || r.Header.Get("Origin") == "" || o.Origin(r)
		},
		Subprotocols: websocket.Subprotocols(r), // the first: browsers insist on an answer
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	l := newPlainLink(s, ws, r)
	s.addPlain(l)
	defer s.removePlain(l)
	l.serve(namespace)
}

// addPlain has Shutdown close the link, which it may have passed already.
func (s *Server) addPlain(l *plainLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.Close(ReasonShutdown)
		return
	}
	if s.plain == nil {
		s.plain = make(map[*plainLink]struct{})
	}
	s.plain[l] = struct{}{}
}

func (s *Server) removePlain(l *plainLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.plain, l)
}

// stop lets nothing begin any more, and ends the plain connections.
func (s *Server) stop() {
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
