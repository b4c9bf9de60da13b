package client

import (
	"encoding/json"
	"errors"
	"fmt"

	"server22.local/appliance/realtime/client/engine"
)

var (
	// ErrClosed says that the client was closed, or that Run has ended.
	ErrClosed = errors.New("client is closed")

	// ErrDisconnected is wrapped by what [Ask] returns when the connection
	// ended before the answer came. The server may have handled the packet.
	ErrDisconnected = errors.New("socket has been disconnected")

	// ErrAckTimeout is what [Ask] returns when the server has not answered
	// within Options.AckTimeout, or the Timeout of the call, with all retries.
	ErrAckTimeout = errors.New("server did not answer in time")

	// ErrBufferFull refuses an emit while Options.Buffer bytes wait.
	ErrBufferFull = errors.New("too much waits to be sent")

	// ErrNotSent is wrapped by what [Client.Close] returns if emitted packets
	// were still waiting for a connection, or for an acknowledgement.
	ErrNotSent = errors.New("packets were not sent")

	// ErrDropped is what [Ask] returns for a volatile event that was dropped.
	ErrDropped = errors.New("volatile event was dropped")

	// ErrReserved refuses the names that Socket.IO gives a meaning of its
	// own, such as "connect".
	ErrReserved = errors.New("reserved event name")

	errOverflow  = errors.New("handlers do not keep up: too many events wait for them")
	errOldServer = errors.New("server speaks an old Socket.IO (1 or 2), which is not supported")
	errRunTwice  = errors.New("client was already run: New makes another one")
)

// TooLargeError is returned for a packet beyond the server's limit, which
// would make the server drop the connection.
type TooLargeError = engine.TooLargeError

// HTTPError is a connection refused by the server, or by a proxy.
type HTTPError = engine.HTTPError

// Refusal is a namespace's no: it does not exist, or a middleware of the
// server said no. The socket does not try again until [Socket.Connect].
type Refusal struct {
	Namespace string
	Message   string
	Data      json.RawMessage // what the server gave beside the message, nil without
}

// Error names the namespace and says what the server said.
func (r *Refusal) Error() string {
	return fmt.Sprintf("server refused namespace %s: %s", r.Namespace, r.Message)
}

func refusal(namespace string, payload json.RawMessage) *Refusal {
	var said struct {
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(payload, &said) != nil {
		json.Unmarshal(payload, &said.Message) // a bare string is allowed too
	}
	return &Refusal{Namespace: namespace, Message: said.Message, Data: said.Data}
}
