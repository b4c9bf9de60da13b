package engineio

import (
	"errors"
	"fmt"
	"net/http"
)

// Reason says why a session ended, in the words of Socket.IO.
type Reason string

// The reasons of this package; a caller of Socket.Close may pass its own.
const (
	ReasonTransportError Reason = "transport error" // the connection failed, or broke the protocol of its transport
	ReasonTransportClose Reason = "transport close" // the peer went away
	ReasonForcedClose    Reason = "forced close"    // Socket.Close with this reason
	ReasonPingTimeout    Reason = "ping timeout"    // a heartbeat stayed unanswered
	ReasonParseError     Reason = "parse error"     // the peer sent what is not Engine.IO
	ReasonShutdown       Reason = "server shutting down"
	ReasonQueueFull      Reason = "send queue full" // the peer reads too slowly, see Options.Queue
)

// Code is the number of a handshake error on the wire.
type Code int

// The codes of the protocol.
const (
	CodeUnknownTransport Code = iota
	CodeUnknownSession
	CodeBadMethod
	CodeBadRequest
	CodeForbidden
	CodeUnsupportedVersion
)

var codeTexts = [...]string{
	"Transport unknown",
	"Session ID unknown",
	"Bad handshake method",
	"Bad request",
	"Forbidden",
	"Unsupported protocol version",
}

// ConnectionError is a request that was refused.
type ConnectionError struct {
	Request *http.Request
	Code    Code
	Message string // what the client was told
	Context string // why, for the log: "TRANSPORT_MISMATCH" and the like
	Err     error  // the cause, where there is one
}

// Error says what was refused and why.
func (e *ConnectionError) Error() string {
	if e.Context == "" {
		return fmt.Sprintf("engine.io request refused: %s (code %d)", e.Message, e.Code)
	}
	return fmt.Sprintf("engine.io request refused: %s (code %d, %s)", e.Message, e.Code, e.Context)
}

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// Status is the HTTP status of the refusal.
func (e *ConnectionError) Status() int {
	switch {
	case e.Code == CodeForbidden:
		return http.StatusForbidden
	case errors.Is(e.Err, errMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(e.Err, ErrServerClosed):
		return http.StatusServiceUnavailable
	case errors.Is(e.Err, errVersion):
		return http.StatusUpgradeRequired
	default:
		return http.StatusBadRequest
	}
}

// ErrServerClosed is the cause of refusals after Shutdown or Close.
var ErrServerClosed = errors.New("engine.io server closed")

var (
	errMethod      = errors.New("method not allowed")
	errOverlap     = errors.New("a second request of the same kind while the first one waits")
	errPollAborted = errors.New("poll connection closed prematurely")
	errDirection   = errors.New("invalid heartbeat direction")
	errContentType = errors.New("binary body outside of protocol version 3")
	errPeerClosed  = errors.New("closed by the peer")
	errUnexpected  = errors.New("unexpected packet")
	errPongMissing = errors.New("no answer to the heartbeat")
	errNoReceiver  = errors.New("not accepted")
	errQueueIsFull = errors.New("more bytes waiting than Options.Queue allows")
)

func refuse(r *http.Request, code Code, context string, cause error) *ConnectionError {
	return &ConnectionError{Request: r, Code: code, Message: codeTexts[code], Context: context, Err: cause}
}
