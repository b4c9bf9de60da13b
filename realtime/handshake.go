package realtime

import (
	"net/http"
	"strings"
	"time"

	"server22.local/appliance/realtime/packet"
)

// Handshake is how a socket came in. It marshals to the JSON object that
// Node's socket.handshake is. It does not change.
type Handshake struct {
	Headers http.Header       `json:"-"`
	Query   map[string]string `json:"query"` // of the URL; the first value of each key
	Auth    packet.Value      `json:"auth"`  // what the client sent to join the namespace; an object
	Time    string            `json:"time"`
	Issued  int64             `json:"issued"`  // ms since 1970
	Address string            `json:"address"` // of the peer, without the port
	XDomain bool              `json:"xdomain"` // the request names an Origin
	Secure  bool              `json:"secure"`  // the connection is encrypted
	URL     string            `json:"url"`

	// FlatHeaders are the headers as Node shows them: lower case, joined by
	// commas.
	FlatHeaders map[string]string `json:"headers"`
}

// jsDate is the form in which JavaScript prints a Date.
const jsDate = "Mon Jan 02 2006 15:04:05 GMT-0700 (MST)"

func newHandshake(r *http.Request, auth packet.Value, at time.Time, extraQuery string) *Handshake {
	h := &Handshake{
		Headers:     r.Header,
		Query:       firstValues(r, extraQuery),
		Auth:        auth,
		Time:        at.Format(jsDate),
		Issued:      at.UnixMilli(),
		Address:     host(r.RemoteAddr),
		XDomain:     r.Header.Get("Origin") != "",
		Secure:      r.TLS != nil,
		URL:         r.URL.RequestURI(),
		FlatHeaders: make(map[string]string, len(r.Header)+1),
	}
	for name, values := range r.Header {
		h.FlatHeaders[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	h.FlatHeaders["host"] = r.Host
	return h
}

// firstValues flattens a query; clients of Socket.IO 2 add one per namespace.
func firstValues(r *http.Request, extra string) map[string]string {
	query := make(map[string]string)
	for key, values := range r.URL.Query() {
		query[key] = values[0]
	}
	if extra != "" {
		u := *r.URL
		u.RawQuery = extra
		for key, values := range u.Query() {
			query[key] = values[0]
		}
	}
	return query
}

func host(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		addr = addr[:i]
	}
	return strings.Trim(addr, "[]")
}
