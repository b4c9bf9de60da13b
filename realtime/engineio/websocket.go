package engineio

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/internal/frame"
	"server22.local/appliance/realtime/engineio/wire"
)

// newUpgrader makes gorilla's part: the handshake of RFC 6455. Its buffers are
// as small as can be, since frames are read and written by conn.
func newUpgrader(o *Options) websocket.Upgrader {
	return websocket.Upgrader{
		ReadBufferSize:    1,
		WriteBufferSize:   256,
		WriteBufferPool:   &sync.Pool{},
		EnableCompression: o.Compression.PerMessageDeflate,
		CheckOrigin:       func(*http.Request) bool { return true }, // Server.checkOrigin has
		Error:             func(http.ResponseWriter, *http.Request, int, error) {},
	}
}

// upgrade makes a WebSocket of the request's connection.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, id string, v wire.Version) (*conn, *ConnectionError) {
	h := make(http.Header, 2)
	if id != "" && s.o.Cookie != nil {
		h.Set("Set-Cookie", s.o.Cookie.make(id).String())
	}
	if offered := websocket.Subprotocols(r); len(offered) > 0 {
		h.Set("Sec-Websocket-Protocol", offered[0])
	}
	if s.o.Headers != nil {
		s.o.Headers(h, r, id != "")
	}
	ws, err := s.upgrader.Upgrade(w, r, h)
	if err != nil {
		return nil, refuse(r, CodeBadRequest, "WEBSOCKET_HANDSHAKE", err)
	}
	c := &conn{server: s, nc: ws.NetConn(), version: v}
	c.raw = newRawConn(c.nc)
	c.deflate = s.o.Compression.PerMessageDeflate && offersDeflate(r)
	c.reader = frame.Reader{Limit: s.o.MaxPayload, Inflate: c.deflate}
	return c, nil
}

// offersDeflate says whether gorilla has agreed to permessage-deflate.
func offersDeflate(r *http.Request) bool {
	for _, header := range r.Header["Sec-Websocket-Extensions"] {
		for extension := range strings.SplitSeq(header, ",") {
			name, _, _ := strings.Cut(extension, ";")
			if strings.TrimSpace(name) == "permessage-deflate" {
				return true
			}
		}
	}
	return false
}

// openWebSocket starts a session that is a WebSocket from the beginning.
func (s *Server) openWebSocket(w http.ResponseWriter, r *http.Request, socket *Socket) *ConnectionError {
	c, err := s.upgrade(w, r, socket.id, socket.version)
	if err != nil {
		return err
	}
	c.socket, c.joined = socket, true
	socket.ws = c
	if err := s.open(socket); err != nil {
		if !errors.Is(err, errNoReceiver) {
			c.nc.Close()
			return nil
		}
	}
	s.flushers.add(socket)
	// A goroutine of its own, so that net/http can give back its buffers.
	go c.readLoop()
	return nil
}

var (
	errNotProbe  = fmt.Errorf("%w on a connection that wants to take over a session", errUnexpected)
	errNoUpgrade = errors.New("the session cannot be upgraded")
)
