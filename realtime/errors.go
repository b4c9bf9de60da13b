package realtime

import (
	"context"
	"errors"
	"log/slog"

	"server22.local/appliance/realtime/engineio"
)

// Reason says why a socket ended, in the words of Socket.IO.
type Reason = engineio.Reason

// The reasons. Those of the connection are the engine's.
const (
	ReasonTransportError   = engineio.ReasonTransportError
	ReasonTransportClose   = engineio.ReasonTransportClose
	ReasonForcedClose      = engineio.ReasonForcedClose
	ReasonPingTimeout      = engineio.ReasonPingTimeout
	ReasonParseError       = engineio.ReasonParseError
	ReasonShutdown         = engineio.ReasonShutdown
	ReasonQueueFull        = engineio.ReasonQueueFull
	ReasonForcedServer     = Reason("forced server close")         // Socket.DisconnectAll, Socket.Drop, or no namespace was joined in time
	ReasonClientDisconnect = Reason("client namespace disconnect") // the client said goodbye
	ReasonServerDisconnect = Reason("server namespace disconnect") // Socket.Disconnect
	ReasonPanic            = Reason("handler panic")               // a handler of this socket panicked
)

// recoverable reports whether a client may come back to its session: not
// after either side has ended it on purpose, or broken the protocol.
func recoverable(r Reason) bool {
	switch r {
	case ReasonTransportError, ReasonTransportClose, ReasonForcedClose, ReasonPingTimeout,
		ReasonShutdown, ReasonForcedServer, ReasonQueueFull:
		return true
	}
	return false
}

// Errors that callers branch on.
var (
	// ErrDisconnected ends whatever waits for a socket that is gone, and is
	// returned by operations on it.
	ErrDisconnected = errors.New("socket is disconnected")
	// ErrReserved refuses to emit an event that has a meaning of its own.
	ErrReserved = errors.New("reserved event name")
	// ErrDropped says that a volatile event was dropped, or that the
	// receiver's queue is full.
	ErrDropped = errors.New("event dropped")
	// ErrOverrun ends an Ask whose answer cannot be read, as more events of
	// the client wait for their handler than are kept.
	ErrOverrun = errors.New("too many events wait before the acknowledgement")
	// ErrNoTimeout: a broadcast with acknowledgements needs a deadline, as a
	// client that does not know the event never answers.
	ErrNoTimeout = errors.New("acknowledgements of a broadcast need a deadline or Timeout")
	// ErrNoNamespace: a zero BroadcastOperator reaches nobody.
	ErrNoNamespace = errors.New("an operator of no namespace")
)

// Refusal is an error whose text is meant for the client: returned by a
// middleware it becomes the CONNECT_ERROR {message, data}, returned by a
// handler the acknowledgement {error: {message, data}}.
type Refusal struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// Refuse returns a Refusal.
func Refuse(message string, data any) error { return &Refusal{message, data} }

// internalError is all that a client is told of an error that is not meant for
// it.
const internalError = "internal error"

// levelOf is the level at which the error of a handler or a middleware is
// logged: what the client was not told is told here, unless it is only that the
// client has gone meanwhile.
func (s *Socket) levelOf(err error) slog.Level {
	gone := s.state.Load() == ended && (errors.Is(err, ErrDisconnected) || errors.Is(err, context.Canceled))
	if gone || told(err).Message != internalError {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// told is what a client may know of an error.
func told(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	if a, ok := errors.AsType[*ArgumentError](err); ok {
		return &Refusal{Message: a.Error()}
	}
	return &Refusal{Message: internalError}
}

func ackError(err error) any {
	return map[string]*Refusal{"error": told(err)}
}

// What clients do that ends their connections.
var (
	errAlreadyConnected  = errors.New("a second CONNECT to a namespace")
	errNotConnected      = errors.New("a packet for a namespace that was not joined")
	errTooManyNamespaces = errors.New("too many namespaces on one connection")
)
