package engineio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"server22.local/appliance/realtime/engineio/wire"
)

var errIDTaken = errors.New("the generated session id is in use")

// handshake serves a request that starts a session.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, q *query, upgrade bool) *ConnectionError {
	version, err := s.checkHandshake(r, q, upgrade)
	if err != nil {
		return err
	}
	id, cause := s.o.GenerateID(r)
	if cause != nil {
		return refuse(r, CodeBadRequest, "ID_GENERATION_ERROR", cause)
	}
	socket := s.newSocket(id, version, r)
	socket.base64 = q.base64 || q.jsonp != ""
	if upgrade {
		return s.openWebSocket(w, r, socket)
	}
	if err := s.open(socket); err != nil {
		return refuse(r, CodeBadRequest, "OPEN", err)
	}
	if c := s.o.Cookie; c != nil {
		http.SetCookie(w, c.make(id))
	}
	return socket.serveGet(w, r, q)
}

func (s *Server) checkHandshake(r *http.Request, q *query, upgrade bool) (wire.Version, *ConnectionError) {
	if r.Method != http.MethodGet {
		return 0, refuse(r, CodeBadMethod, "METHOD", nil)
	}
	if q.transport == WebSocket && !upgrade {
		return 0, refuse(r, CodeBadRequest, "TRANSPORT_HANDSHAKE_ERROR", nil)
	}
	version := wire.V4
	if q.version != "4" {
		if version = wire.V3; !s.o.AllowEIO3 || q.version != "3" {
			return 0, refuse(r, CodeUnsupportedVersion, "", nil)
		}
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return 0, refuse(r, CodeBadRequest, "SERVER_CLOSED", ErrServerClosed)
	}
	if s.o.AllowRequest != nil {
		if err := s.o.AllowRequest(r); err != nil {
			e := refuse(r, CodeForbidden, "", err)
			e.Message = err.Error()
			return 0, e
		}
	}
	return version, nil
}

func (s *Server) checkOrigin(r *http.Request) *ConnectionError {
	if s.o.Origin == nil || r.Header.Get("Origin") == "" || s.o.Origin(r) {
		return nil
	}
	return refuse(r, CodeForbidden, "INVALID_ORIGIN", fmt.Errorf("origin %q not allowed", r.Header.Get("Origin")))
}

// open starts the session: the open packet is queued, the application asked,
// the heartbeat begun.
func (s *Server) open(socket *Socket) error {
	// Nobody delivers, and Closed does not come, before there is a receiver.
	socket.delivery.Lock()
	defer socket.delivery.Unlock()
	if err := s.add(socket); err != nil {
		return err
	}
	socket.mu.Lock()
	socket.push(item{packet: s.openPacket(socket), plain: true})
	if s.o.Initial != nil {
		socket.push(item{packet: s.o.Initial})
	}
	socket.corks++
	socket.mu.Unlock()
	socket.receiver = s.accept(socket)
	socket.handWork()
	if socket.receiver == nil {
		socket.receiver = nobody{}
		socket.end(ReasonForcedClose, errNoReceiver, abrupt)
		return errNoReceiver
	}
	s.beats.start(socket)
	if hook := s.o.Hooks.Opened; hook != nil {
		hook(socket)
	}
	s.o.Logger.LogAttrs(socket.request.Context(), slog.LevelDebug, "session opened",
		slog.String("remote", socket.request.RemoteAddr), slog.Int("eio", int(socket.version)))
	socket.mu.Lock()
	socket.corks-- // what was queued goes out with the handshake
	socket.mu.Unlock()
	return nil
}

// nobody is the receiver of a session that was not accepted.
type nobody struct{}

func (nobody) Message(Message)      {}
func (nobody) Closed(Reason, error) {}

// openPacket is the handshake's answer.
func (s *Server) openPacket(socket *Socket) *Packet {
	id, err := json.Marshal(socket.id)
	if err != nil {
		panic(fmt.Sprintf("encoding a string: %v", err))
	}
	b := make([]byte, 0, 160)
	b = append(append(b, `{"sid":`...), id...)
	b = append(b, `,"upgrades":[`...)
	if socket.ws == nil && s.upgradable() {
		b = append(b, `"websocket"`...)
	}
	b = strconv.AppendInt(append(b, `],"pingInterval":`...), s.o.PingInterval.Milliseconds(), 10)
	b = strconv.AppendInt(append(b, `,"pingTimeout":`...), s.o.PingTimeout.Milliseconds(), 10)
	b = strconv.AppendInt(append(b, `,"maxPayload":`...), s.o.MaxPayload, 10)
	return control(wire.Open, string(append(b, '}')))
}

func (s *Server) upgradable() bool { return !s.o.NoUpgrades && s.o.enabled(WebSocket) }

func (c *Cookie) make(id string) *http.Cookie {
	cookie := &http.Cookie{
		Name: c.Name, Value: id, Path: c.Path, Domain: c.Domain,
		MaxAge: int(c.MaxAge.Seconds()), Secure: c.Secure, SameSite: c.SameSite, HttpOnly: !c.Script,
	}
	setDefault(&cookie.Name, "io")
	setDefault(&cookie.Path, "/")
	setDefault(&cookie.SameSite, http.SameSiteLaxMode)
	return cookie
}

// keep copies what the application may ask of a request later, so that the
// session does not hold on to the connection's buffers.
func keep(r *http.Request) *http.Request {
	kept := r.WithContext(context.WithoutCancel(r.Context()))
	kept.Body = http.NoBody
	return kept
}
