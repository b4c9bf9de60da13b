package realtime

import (
	"log/slog"
	"time"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// The defaults of Options.
const (
	DefaultConnectTimeout = 45 * time.Second
	DefaultMaxNamespaces  = 64
	DefaultBacklog        = 256
)

// Options configures a Server. The zero value is a useful server with the
// defaults of the protocol.
type Options struct {
	// Engine configures what is beneath Socket.IO: heartbeats, limits on
	// messages and queues, origins and CORS, compression, cookies, and
	// whether clients of Socket.IO 1 and 2 are served (AllowEIO3).
	Engine engineio.Options

	// Parsers lists the forms of packets that clients may choose from, by
	// what they send first, at most three; nil means JSON and MessagePack.
	// Clients of different parsers share rooms.
	Parsers []packet.Parser
	// Limits bound single packets.
	Limits packet.Limits
	// ConnectTimeout is how long a connection may go without joining a
	// namespace before it is closed; 0 means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// MaxNamespaces is how many namespaces one connection may be in; 0 means
	// DefaultMaxNamespaces.
	MaxNamespaces int
	// Backlog is how many events of one socket may wait for a handler that
	// is busy; 0 means DefaultBacklog. Beyond it nothing more is read from
	// that connection until the handler has caught up. While Ask waits for
	// the client, as many may wait as take a megabyte.
	Backlog int

	// Adapter makes the adapter of each namespace; nil means
	// adapter.InMemory.
	Adapter adapter.Factory
	// NoClient keeps the server from serving the JavaScript client beside
	// the protocol (/socket.io/socket.io.js and its siblings).
	NoClient bool

	// AckError turns the error of a handler into the one argument of the
	// acknowledgement that the client waits for. nil means
	// {"error": {"message": …, "data": …}} of a Refusal, and for other
	// errors, which may tell strangers too much, the message "internal
	// error".
	AckError func(error) any

	// Hooks observe the server; a nil hook costs nothing.
	Hooks Hooks
	// Logger receives the life cycle of sockets at debug level and what goes
	// wrong in handlers at error level; nil discards it. It is also that of
	// the engine, if Engine.Logger is nil.
	Logger *slog.Logger
}

// Hooks observe a server, for metrics and logs. They are called on the path of
// the traffic, from several goroutines at once, and must not block.
type Hooks struct {
	// Connected and Disconnected see the life of every socket.
	Connected    func(*Socket)
	Disconnected func(*Socket, Reason)
	// Refused sees a client that did not get into a namespace.
	Refused func(namespace string, err error)
	// Received sees every event of a client, Handled how long its handlers
	// took and how they ended.
	Received func(s *Socket, event string)
	Handled  func(s *Socket, event string, took time.Duration, err error)
	// Joined and Left see who comes into rooms and goes, in the order in which
	// it happens, with the number of those who are in the room then: the first
	// one to join makes it, and it is gone when none is left. They may use the
	// socket and its namespace.
	Joined func(s *Socket, room string, members int)
	Left   func(s *Socket, room string, members int)
	// Sent sees every packet that was handed to connections, with the number
	// of its receivers.
	Sent func(namespace string, receivers int)
	// Dropped sees a packet that a receiver did not get: volatile and not
	// ready, or its queue full.
	Dropped func(*Socket)
}

func (o Options) withDefaults() Options {
	if o.Parsers == nil {
		o.Parsers = []packet.Parser{packet.JSON, packet.MessagePack}
	}
	if len(o.Parsers) > plainCodec {
		o.Parsers = o.Parsers[:plainCodec]
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.MaxNamespaces <= 0 {
		o.MaxNamespaces = DefaultMaxNamespaces
	}
	if o.Backlog <= 0 {
		o.Backlog = DefaultBacklog
	}
	if o.Adapter == nil {
		o.Adapter = adapter.InMemory
	}
	if o.AckError == nil {
		o.AckError = ackError
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Engine.Logger == nil {
		o.Engine.Logger = o.Logger
	}
	return o
}
