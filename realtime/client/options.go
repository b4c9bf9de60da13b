package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"server22.local/appliance/realtime/client/engine"
	"server22.local/appliance/realtime/packet"
)

// Transports, for [Options].
const (
	Polling   = engine.Polling
	WebSocket = engine.WebSocket
)

// Options of a client. The zero value is useful.
type Options struct {
	// Path under which the server serves Socket.IO. Default: "/socket.io/".
	Path string

	// Auth is sent when a namespace is connected, for the server to check: a
	// struct or map, encoded as a JSON object.
	Auth any

	// AuthFunc, if set, is asked for the value instead, each time anew, so
	// that a token can be fresh. An error is given to OnConnectError, and
	// AuthFunc is asked again later. It may be called for several namespaces
	// at once.
	AuthFunc func(ctx context.Context, namespace string) (any, error)

	// Parser has to be the server's. Default: [packet.JSON].
	Parser packet.Parser

	// Limits bound what is accepted from the server.
	Limits packet.Limits

	// Transports in the order in which they are tried. Default: websocket,
	// then polling. With polling first a connection begins as polling and is
	// upgraded, as that of a browser is.
	Transports []string

	// NoUpgrade keeps a connection on the transport it started with.
	NoUpgrade bool

	// RememberUpgrade starts with websocket once an upgrade has succeeded.
	RememberUpgrade bool

	// Header is sent with every HTTP request. Query is added to every URL.
	Header http.Header
	Query  url.Values

	// DialContext opens byte streams. Default: a [net.Dialer].
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLS configures https and wss. Proxy chooses a proxy; default: none. Jar
	// keeps cookies, which sticky load balancers need.
	TLS   *tls.Config
	Proxy func(*http.Request) (*url.URL, error)
	Jar   http.CookieJar

	// Compression offers permessage-deflate.
	Compression bool

	// Timeout of a connection attempt. Default: 20 s.
	Timeout time.Duration

	// NoReconnect makes Run return when the connection is lost, or cannot be
	// made.
	NoReconnect bool

	// ReconnectAttempts is how often in a row a connection is tried before
	// Run gives up. Default: without end.
	ReconnectAttempts int

	// ReconnectDelay is the wait before the second attempt. It doubles with
	// every further one, up to ReconnectDelayMax. Defaults: 1 s, 5 s, before
	// jitter.
	ReconnectDelay    time.Duration
	ReconnectDelayMax time.Duration

	// ReconnectJitter is by which part the waits vary at random, so that
	// clients do not come back all at once. Default: 0.5, that is ±50 %.
	// Negative: none.
	ReconnectJitter float64

	// Retries is how often an emit that the server does not acknowledge
	// within AckTimeout is repeated. If it is positive, packets (volatile
	// ones apart) are sent one at a time, in order, each after the one before
	// was acknowledged or given up. Sending again because the connection was
	// lost does not count.
	Retries int

	// AckTimeout bounds the wait of [Ask], and that for an acknowledgement
	// before a retry. Default: none without Retries, 10 s with them.
	AckTimeout time.Duration

	// AckError turns the error of a handler into the one argument of the
	// acknowledgement that the server waits for. Default: {"error":
	// {"message": …}} with the error's text.
	AckError func(error) any

	// Buffer is how many bytes may wait to be sent, per socket while there is
	// no connection, and in all while there is one. Beyond, Emit fails with
	// [ErrBufferFull]. Default: 16 MiB.
	Buffer int

	// Inbox is how many bytes of events may wait for the handlers of a
	// socket. Beyond, the connection is given up. Default: 16 MiB.
	Inbox int

	// MaxMessage bounds an incoming message in bytes. Default: 64 MiB.
	MaxMessage int64

	// CloseTimeout bounds how long Close and the end of Run's context take to
	// write what is queued and to say goodbye. Default: 5 s.
	CloseTimeout time.Duration

	// Logger hears of connections, at debug, and of errors of handlers to
	// which no OnError was given, as warnings. Default: nobody.
	Logger *slog.Logger
}

// Defaults that have no name elsewhere.
const (
	defaultPath         = "/socket.io/"
	defaultDelay        = time.Second
	defaultDelayMax     = 5 * time.Second
	defaultJitter       = 0.5
	defaultAckTimeout   = 10 * time.Second
	defaultInbox        = 16 << 20
	defaultCloseTimeout = 5 * time.Second
)

func (o Options) withDefaults() (Options, error) {
	if o.Retries < 0 || o.ReconnectAttempts < 0 || o.AckTimeout < 0 || o.ReconnectJitter > 1 {
		return o, errors.New("client options: Retries, ReconnectAttempts or AckTimeout is negative, or ReconnectJitter above 1")
	}
	o.Path = cmp.Or(o.Path, defaultPath)
	o.ReconnectDelay = cmp.Or(o.ReconnectDelay, defaultDelay)
	o.ReconnectDelayMax = max(cmp.Or(o.ReconnectDelayMax, defaultDelayMax), o.ReconnectDelay)
	o.ReconnectJitter = max(0, cmp.Or(o.ReconnectJitter, defaultJitter))
	o.Buffer = cmp.Or(o.Buffer, engine.DefaultSendQueue)
	o.Inbox = cmp.Or(o.Inbox, defaultInbox)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, defaultCloseTimeout)
	if o.Retries > 0 {
		o.AckTimeout = cmp.Or(o.AckTimeout, defaultAckTimeout)
	}
	if o.AckError == nil {
		o.AckError = defaultAckError
	}
	if o.Parser == nil {
		o.Parser = packet.JSON
	}
	if len(o.Transports) == 0 {
		o.Transports = []string{WebSocket, Polling}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func (o Options) engine() engine.Options {
	return engine.Options{
		Transports: o.Transports, NoUpgrade: o.NoUpgrade,
		Header: o.Header, Query: o.Query,
		DialContext: o.DialContext, TLS: o.TLS, Proxy: o.Proxy, Jar: o.Jar,
		Compression: o.Compression, Timeout: o.Timeout,
		MaxMessage: o.MaxMessage, SendQueue: o.Buffer, Logger: o.Logger,
	}
}
