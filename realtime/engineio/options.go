package engineio

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// The defaults of Options, which are those of Node's engine.io.
const (
	DefaultPingInterval   = 25 * time.Second
	DefaultPingTimeout    = 20 * time.Second
	DefaultUpgradeTimeout = 10 * time.Second
	DefaultMaxPayload     = 1_000_000

	// DefaultQueueBytes is what a client may fall behind before it is cut
	// off. Packets in the queue are shared among their receivers, so a
	// broadcast costs its size once, however many clients are slow.
	DefaultQueueBytes = 1 << 20
)

// The names of the transports.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Options configures a Server. The zero value is a useful server with the
// defaults of the protocol.
type Options struct {
	// PingInterval is the pause between the answer to a heartbeat and the
	// next one; 0 means DefaultPingInterval.
	PingInterval time.Duration
	// PingTimeout is how long a heartbeat may stay unanswered before the
	// session ends as ReasonPingTimeout; 0 means DefaultPingTimeout.
	PingTimeout time.Duration
	// UpgradeTimeout is how long a WebSocket that wants to take over a
	// polling session may take; 0 means DefaultUpgradeTimeout.
	UpgradeTimeout time.Duration
	// MaxPayload is the largest POST body and the largest WebSocket message
	// accepted, in bytes; 0 means DefaultMaxPayload.
	MaxPayload int64
	// Queue bounds what waits for a client that does not keep up.
	Queue Queue

	// Transports lists those enabled; nil means polling and websocket.
	Transports []string
	// NoUpgrades keeps polling sessions from moving to a WebSocket.
	NoUpgrades bool
	// AllowEIO3 also serves version 3 of the protocol (Socket.IO 1 and 2).
	AllowEIO3 bool

	// AllowRequest is asked once per handshake; an error refuses it with
	// status 403 and the error's text as the message. It may take its time:
	// it holds up nobody else.
	AllowRequest func(*http.Request) error
	// Origin is asked about every request that names an Origin; false refuses
	// it. nil allows all, as Node does: a browser page of any site can then
	// open a session. See SameHost.
	Origin func(*http.Request) bool
	// CORS lets pages of other origins read the answers to polling; nil adds
	// no header. It does not restrict WebSockets: see Origin.
	CORS *CORS
	// Cookie sends the session id as a cookie with the handshake; nil sends
	// none.
	Cookie *Cookie
	// Headers may add to the headers of an answer before it is sent; nil
	// adds none. initial is set for the answer to a handshake.
	Headers func(h http.Header, r *http.Request, initial bool)
	// Compression tunes compression; the zero value compresses the answers to
	// polling and not the messages of WebSockets.
	Compression Compression

	// Initial is sent right after the open packet of every session; nil
	// sends nothing.
	Initial *Packet
	// GenerateID makes session ids; nil means 128 random bits. A session id
	// is a bearer secret: whoever knows it can read the session.
	GenerateID func(*http.Request) (string, error)

	// Hooks observe the server; a nil hook costs nothing.
	Hooks Hooks
	// Logger receives the life cycle of sessions at debug level; nil discards
	// it.
	Logger *slog.Logger
}

// Queue bounds what waits to be written to one client.
type Queue struct {
	// Bytes is the limit; 0 means DefaultQueueBytes. A single packet larger
	// than the limit still passes when nothing else is waiting. When the
	// limit is passed, waiting volatile packets are dropped first; if that is
	// not enough, the session ends as ReasonQueueFull.
	Bytes int
	// DropNewest drops what does not fit instead of ending the session: Send
	// returns false.
	DropNewest bool
}

// Compression tunes the compression of what is sent.
type Compression struct {
	// NoHTTP sends the answers to polling uncompressed.
	NoHTTP bool
	// PerMessageDeflate accepts the WebSocket extension of RFC 7692, without
	// context takeover, so that what is compressed once serves all receivers.
	PerMessageDeflate bool
	// Threshold is the size in bytes below which nothing is compressed; 0
	// means 1024.
	Threshold int
}

// Cookie describes the cookie that carries the session id.
type Cookie struct {
	Name     string        // "" means "io"
	Path     string        // "" means "/"
	Domain   string        // "" means the host that answers
	MaxAge   time.Duration // 0 means until the browser closes
	Secure   bool
	SameSite http.SameSite // 0 means Lax
	Script   bool          // lets scripts read it: no HttpOnly
}

// Hooks observe a server. They are called on the path of the traffic, from
// several goroutines at once, and must not block.
type Hooks struct {
	// ConnectionError sees every request that was refused.
	ConnectionError func(*ConnectionError)
	// Opened, Upgraded and Closed see the life of a session.
	Opened   func(*Socket)
	Upgraded func(*Socket)
	Closed   func(*Socket, Reason, error)
	// Received sees the size of each message that arrived.
	Received func(s *Socket, bytes int)
	// Sent sees what left in one write or one answer to a poll.
	Sent func(s *Socket, packets, bytes int)
	// Dropped sees each packet that Send refused or that was purged from a
	// full queue.
	Dropped func(s *Socket, p *Packet)
}

func (o Options) withDefaults() Options {
	setDefault(&o.PingInterval, DefaultPingInterval)
	setDefault(&o.PingTimeout, DefaultPingTimeout)
	setDefault(&o.UpgradeTimeout, DefaultUpgradeTimeout)
	setDefault(&o.MaxPayload, DefaultMaxPayload)
	setDefault(&o.Queue.Bytes, DefaultQueueBytes)
	setDefault(&o.Compression.Threshold, 1024)
	if o.Transports == nil {
		o.Transports = []string{Polling, WebSocket}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.GenerateID == nil {
		o.GenerateID = randomID
	}
	return o
}

// setDefault replaces what was not set, or makes no sense.
func setDefault[T cmp.Ordered](v *T, d T) {
	var zero T
	if *v <= zero {
		*v = d
	}
}

func (o *Options) enabled(transport string) bool {
	return slices.Contains(o.Transports, transport)
}

// SameHost is an Origin policy: it allows requests of pages that came from the
// host and port that they now talk to, and requests that no web page made
// (no Origin, or file:// as microcontrollers send it).
func SameHost(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "file://" {
		return true
	}
	return origin == "http://"+r.Host || origin == "https://"+r.Host
}
