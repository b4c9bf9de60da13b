package engineio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/internal/frame"
	"server22.local/appliance/realtime/engineio/wire"
)

// newUpgrader makes gorilla's part: the handshake of RFC 6455. It reuses the
// buffers that hijack lends it.
func newUpgrader(o *Options) websocket.Upgrader {
	return websocket.Upgrader{
		EnableCompression: o.Compression.PerMessageDeflate,
		CheckOrigin:       func(*http.Request) bool { return true }, // Server.checkOrigin has
		Error:             func(http.ResponseWriter, *http.Request, int, error) {},
	}
}

// hijack stands between gorilla's handshake and the connection: the answer is
// kept, so that it can leave in one write with the first frames, and nothing
// of what gorilla needs for reading and writing stays with the connection.
type hijack struct {
	http.ResponseWriter
	nc    net.Conn
	lent  *bufio.ReadWriter
	head  []byte // the answer
	early []byte // what the client has sent without waiting for it
}

var hijacks = sync.Pool{New: func() any {
	return &hijack{lent: bufio.NewReadWriter(bufio.NewReaderSize(nil, 300), bufio.NewWriterSize(nil, 512))}
}}

func (h *hijack) release() {
	*h = hijack{lent: h.lent}
	h.lent.Reader.Reset(nil)
	h.lent.Writer.Reset(nil)
	hijacks.Put(h)
}

// Hijack implements http.Hijacker for gorilla.
func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n) // n bytes are there
		h.early = bytes.Clone(early)
	}
	h.nc = nc
	return hijackedConn{nc, h}, h.lent, nil
}

// hijackedConn is the connection as gorilla sees it.
type hijackedConn struct {
	net.Conn
	h *hijack
}

func (c hijackedConn) Write(p []byte) (int, error) {
	c.h.head = append(c.h.head, p...)
	return len(p), nil
}

// SetDeadline does nothing: net/http has cleared the deadlines.
func (hijackedConn) SetDeadline(time.Time) error { return nil }

// upgrade makes a WebSocket of the request's connection. The answer to the
// client is left to the caller, or to the first flush.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, id string, v wire.Version) (*conn, *ConnectionError) {
	var header http.Header
	if id != "" && s.o.Cookie != nil {
		header = http.Header{"Set-Cookie": {s.o.Cookie.make(id).String()}}
	}
	if offered := r.Header["Sec-Websocket-Protocol"]; len(offered) > 0 {
		if header == nil {
			header = make(http.Header)
		}
		first, _, _ := strings.Cut(offered[0], ",")
		header.Set("Sec-Websocket-Protocol", strings.TrimSpace(first))
	}
	if s.o.Headers != nil {
		if header == nil {
			header = make(http.Header)
		}
		s.o.Headers(header, r, id != "")
	}
	h := hijacks.Get().(*hijack)
	defer h.release()
	h.ResponseWriter = w
	if _, err := s.upgrader.Upgrade(h, r, header); err != nil {
		return nil, refuse(r, CodeBadRequest, "WEBSOCKET_HANDSHAKE", err)
	}
	c := &conn{server: s, nc: h.nc, version: v, head: bytes.Clone(h.head), early: h.early}
	c.raw.init(h.nc)
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
	// On another goroutine, so that net/http can give back its buffers and its
	// stack need not grow.
	s.crew.Work(c.begin)
	return nil
}

// begin opens the session of a connection that is its transport from the
// beginning, and reads.
func (c *conn) begin() {
	s := c.server
	if err := s.open(c.socket); err != nil && !errors.Is(err, errNoReceiver) {
		c.shut()
		s.report(refuse(c.socket.request, CodeBadRequest, "OPEN", err))
		return
	}
	sc := takeScratch()
	c.socket.flush(sc)
	sc.release()
	s.parking.enter(c)
	c.readLoop()
}

var (
	errNotProbe  = fmt.Errorf("%w on a connection that wants to take over a session", errUnexpected)
	errNoUpgrade = errors.New("the session cannot be upgraded")
)
