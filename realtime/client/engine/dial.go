package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// Dial opens a session at a URL with the scheme http, https, ws or wss, whose
// path is the server's: "http://host/socket.io/". It tries the transports of
// the options in turn until one of them can be opened; a server that cannot be
// reached at all is tried once.
//
// The caller runs the connection with [Conn.Run], or calls [Conn.Abort].
func Dial(ctx context.Context, rawURL string, o Options) (*Conn, error) {
	o = o.withDefaults()
	u, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range o.Transports {
		c, err := dialTransport(ctx, name, u, o)
		if err == nil {
			return c, nil
		}
		errs = append(errs, fmt.Errorf("opening %s: %w", name, err))
		if unreachable(err) || ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func dialTransport(ctx context.Context, name string, u *url.URL, o Options) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c := &Conn{opts: o, url: u, queue: newQueue(o.SendQueue), swap: newSwap(), ended: make(chan struct{})}
	var err error
	switch name {
	case Polling:
		c.transport, c.open, err = openPolling(ctx, o, u)
	case WebSocket:
		c.transport, c.open, err = openWebSocket(ctx, o, u)
	default:
		return nil, fmt.Errorf("unknown transport %q", name)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause // says more than what the cut connection says
		}
		return nil, err
	}
	return c, nil
}

// unreachable: no byte stream could be opened, so that another transport
// would fail in the same way.
func unreachable(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// ParseURL reads the address of a server, as [Dial] takes it. The schemes ws and
// wss become http and https.
func ParseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing the server's address: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, fmt.Errorf("server's address %q: the scheme is not one of http, https, ws, wss", raw)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("server's address %q names no host", raw)
	}
	return u, nil
}

// endpoint is the URL of a session's requests.
func endpoint(u *url.URL, o Options, transport, sid string) *url.URL {
	query := u.Query()
	maps.Copy(query, o.Query)
	query.Set("EIO", "4")
	query.Set("transport", transport)
	if sid != "" {
		query.Set("sid", sid)
	}
	to := *u
	to.RawQuery = query.Encode()
	return &to
}

// handshake is the server's first packet. Times are in milliseconds.
type handshake struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"`
	PingTimeout  int64    `json:"pingTimeout"`
	MaxPayload   int64    `json:"maxPayload"`
}

func (h handshake) interval() time.Duration { return time.Duration(h.PingInterval) * time.Millisecond }
func (h handshake) timeout() time.Duration  { return time.Duration(h.PingTimeout) * time.Millisecond }

func parseHandshake(p wire.Packet) (handshake, error) {
	if p.Type != wire.Open {
		return handshake{}, fmt.Errorf("server began with a packet of type %s rather than open", p.Type)
	}
	var h handshake
	if err := json.Unmarshal(p.Data, &h); err != nil {
		return handshake{}, fmt.Errorf("reading the handshake: %w", err)
	}
	if h.SID == "" || h.PingInterval <= 0 || h.PingTimeout <= 0 {
		return handshake{}, errors.New("server's handshake lacks sid, pingInterval or pingTimeout")
	}
	return h, nil
}
