package engine

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// The names of the transports.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Defaults of [Options].
const (
	DefaultTimeout    = 20 * time.Second // as the official client
	DefaultMaxMessage = 64 << 20
	DefaultSendQueue  = 16 << 20
)

// Options of a connection. The zero value is useful.
type Options struct {
	// Transports to use, in the order in which they are tried. Where polling
	// comes before websocket, a connection starts with polling and is
	// upgraded if the server offers it, as the official client does it.
	// Default: websocket, and polling where that cannot be opened.
	Transports []string

	// NoUpgrade keeps a connection on the transport it started with.
	NoUpgrade bool

	// Header is sent with every HTTP request, that of the WebSocket included.
	Header http.Header

	// Query is added to every URL.
	Query url.Values

	// DialContext opens the byte streams. Default: a [net.Dialer].
	// Anything that is a net.Conn will do; a net.Pipe for tests is one.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLS configures https and wss.
	TLS *tls.Config

	// Proxy chooses the proxy of a request. Default: none.
	// [http.ProxyFromEnvironment] is the usual other choice.
	Proxy func(*http.Request) (*url.URL, error)

	// Jar keeps cookies, which sticky load balancers need.
	Jar http.CookieJar

	// Compression offers permessage-deflate to the server.
	Compression bool

	// Timeout bounds the handshake of a transport. Default: 20 s.
	Timeout time.Duration

	// MaxMessage bounds an incoming message or polling payload, in bytes.
	// A larger one ends the connection. Default: 64 MiB.
	MaxMessage int64

	// SendQueue bounds what waits to be written, in bytes. Default: 16 MiB.
	SendQueue int

	// Logger hears of upgrades that fail. Default: nobody.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if len(o.Transports) == 0 {
		o.Transports = []string{WebSocket, Polling}
	}
	if o.DialContext == nil {
		o.DialContext = new(net.Dialer).DialContext
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = DefaultMaxMessage
	}
	if o.SendQueue <= 0 {
		o.SendQueue = DefaultSendQueue
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
