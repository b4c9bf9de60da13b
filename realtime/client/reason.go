package client

import (
	"context"
	"errors"

	"server22.local/appliance/realtime/client/engine"
)

// Reason says why a socket was disconnected, in the words of socket.io-client.
type Reason string

// The reasons. After the first two, only [Socket.Connect] connects again.
const (
	ReasonServerDisconnect Reason = "io server disconnect" // the server ended the socket
	ReasonClientDisconnect Reason = "io client disconnect" // Disconnect or Close
	ReasonPingTimeout      Reason = "ping timeout"         // the server fell silent
	ReasonTransportClose   Reason = "transport close"      // the connection was closed or lost
	ReasonTransportError   Reason = "transport error"      // the connection met an error
	ReasonParseError       Reason = "parse error"          // the server sent what is no packet
)

func reasonOf(err error) Reason {
	refused, ok := errors.AsType[*engine.ReceiverError](err)
	switch {
	case errors.Is(err, engine.ErrPingTimeout):
		return ReasonPingTimeout
	case errors.Is(err, engine.ErrServerClosed):
		return ReasonTransportClose
	case errors.Is(err, engine.ErrClosed), errors.Is(err, context.Canceled):
		return ReasonClientDisconnect
	case ok && !errors.Is(refused.Err, errOverflow):
		return ReasonParseError
	}
	return ReasonTransportError
}
