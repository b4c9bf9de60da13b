package engineio

import (
	"net/url"
	"strings"
)

// query is what the protocol uses of a request's query string.
type query struct {
	version   string // EIO
	transport string
	sid       string
	jsonp     string // j, if it is a number
	base64    bool   // b64
}

// parseQuery reads a query string without allocating in the usual case.
func parseQuery(raw string) (q query) {
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(value, "%+") {
			unescaped, err := url.QueryUnescape(value)
			if err != nil {
				continue
			}
			value = unescaped
		}
		switch key {
		case "EIO":
			q.version = value
		case "transport":
			q.transport = value
		case "sid":
			q.sid = value
		case "j":
			q.jsonp = digits(value)
		case "b64":
			q.base64 = value != "" && value != "0"
		}
	}
	return q
}
