package engineio

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/internal/frame"
	"server22.local/appliance/realtime/engineio/wire"
)

// webSocketVersion is the one that RFC 6455 defines.
const webSocketVersion = "13"

var (
	errKey     = errors.New("no Sec-WebSocket-Key of 16 bytes in base64")
	errVersion = errors.New("Sec-WebSocket-Version is not " + webSocketVersion)
)

// checkOpening checks what the client's opening handshake must have beside an
// upgrade to "websocket": RFC 6455 §4.2.1.
func checkOpening(r *http.Request) (key string, err error) {
	if r.Method != http.MethodGet {
		return "", errMethod
	}
	key = r.Header.Get("Sec-Websocket-Key")
	if decoded, err := base64.StdEncoding.DecodeString(key); err != nil || len(decoded) != 16 {
		return "", errKey
	}
	if r.Header.Get("Sec-Websocket-Version") != webSocketVersion {
		return "", errVersion
	}
	return key, nil
}

// upgrade makes a WebSocket of the request's connection. The answer to the
// client is left to the caller, or to the first flush.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, id string, v wire.Version) (*conn, *ConnectionError) {
	key, err := checkOpening(r)
	if err != nil {
		return nil, refuse(r, CodeBadRequest, "WEBSOCKET_HANDSHAKE", err)
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, refuse(r, CodeBadRequest, "WEBSOCKET_HANDSHAKE", err)
	}
	nc.SetDeadline(time.Time{}) // fails if closed, which the reader sees
	c := &conn{server: s, nc: nc, version: v}
	c.raw.init(nc)
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n) // n bytes are there
		c.early = bytes.Clone(early)
	}
	c.deflate = s.o.Compression.PerMessageDeflate && offersDeflate(r)
	c.reader = frame.Reader{Limit: s.o.MaxPayload, Inflate: c.deflate}
	c.head = s.answer(r, id, key, c.deflate)
	return c, nil
}

// answer is the server's opening handshake: RFC 6455 §4.2.2.
func (s *Server) answer(r *http.Request, id, key string, deflate bool) []byte {
	b := make([]byte, 0, 160)
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = append(appendAccept(b, key), "\r\n"...)
	if deflate {
		b = append(b, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"...)
	}
	if h := s.answerHeader(r, id); h != nil {
		out := bytes.NewBuffer(b)
		h.Write(out) // to memory; no value can end its line
		b = out.Bytes()
	}
	return append(b, "\r\n"...)
}

// answerHeader is what else belongs in the answer: nil, for most.
func (s *Server) answerHeader(r *http.Request, id string) http.Header {
	offered := websocket.Subprotocols(r)
	cookie := id != "" && s.o.Cookie != nil
	if len(offered) == 0 && !cookie && s.o.Headers == nil {
		return nil
	}
	h := make(http.Header)
	if cookie {
		h.Set("Set-Cookie", s.o.Cookie.make(id).String())
	}
	if len(offered) > 0 {
		h.Set("Sec-Websocket-Protocol", offered[0])
	}
	if s.o.Headers != nil {
		s.o.Headers(h, r, id != "")
	}
	return h
}

// appendAccept appends the proof that the key was read: RFC 6455 §4.2.2.
func appendAccept(dst []byte, key string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var text [24 + len(guid)]byte
	sum := sha1.Sum(append(append(text[:0], key...), guid...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// offersDeflate says whether the client offers a permessage-deflate that the
// answer can accept: RFC 7692 §7.1.
func offersDeflate(r *http.Request) bool {
	for _, header := range r.Header["Sec-Websocket-Extensions"] {
		for offer := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(offer, ";")
			if strings.TrimSpace(name) == "permessage-deflate" && acceptable(parameters) {
				return true
			}
		}
	}
	return false
}

// acceptable says whether the parameters of permessage-deflate ask for nothing
// that compress/flate cannot do, which is a smaller window.
func acceptable(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		switch name {
		case "", "client_no_context_takeover", "server_no_context_takeover", "client_max_window_bits":
		case "server_max_window_bits":
			if strings.Trim(value, `"`) != "15" {
				return false
			}
		default:
			return false
		}
	}
	return true
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
	s.crew.Work(task(c.begin))
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
	c.readLoop()
}

var (
	errNotProbe  = fmt.Errorf("%w on a connection that wants to take over a session", errUnexpected)
	errNoUpgrade = errors.New("the session cannot be upgraded")
)
