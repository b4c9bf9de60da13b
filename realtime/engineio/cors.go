package engineio

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS lets web pages of other origins use a server. It decides what browsers
// show to those pages, not what the server does: see Options.Origin.
type CORS struct {
	// Origins are those allowed, as browsers write them
	// ("https://example.com"); "*" allows all.
	Origins []string
	// Allow decides about origins that Origins does not list; nil allows
	// none of them.
	Allow func(origin string) bool
	// Credentials lets pages send cookies.
	Credentials bool
	// Methods are those that a preflight allows; nil means
	// GET, HEAD, PUT, PATCH, POST, DELETE.
	Methods []string
	// AllowedHeaders are those that a request may bring; nil allows what the
	// preflight asks for.
	AllowedHeaders []string
	// ExposedHeaders are those that a page may read.
	ExposedHeaders []string
	// MaxAge is how long a browser may remember a preflight; 0 leaves it to
	// the browser.
	MaxAge time.Duration
}

const defaultMethods = "GET,HEAD,PUT,PATCH,POST,DELETE"

// Apply adds the headers for the request to h, and says whether the request is
// a preflight, which is to be answered with status 204 and nothing else. A nil
// CORS adds nothing.
func (c *CORS) Apply(h http.Header, r *http.Request) (preflight bool) {
	if c == nil {
		return false
	}
	c.applyOrigin(h, r.Header.Get("Origin"))
	if len(c.ExposedHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposedHeaders, ","))
	}
	if r.Method != http.MethodOptions {
		return false
	}
	methods := defaultMethods
	if c.Methods != nil {
		methods = strings.Join(c.Methods, ",")
	}
	h.Set("Access-Control-Allow-Methods", methods)
	c.applyAllowedHeaders(h, r)
	if c.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge/time.Second)))
	}
	h.Set("Content-Length", "0")
	return true
}

func (c *CORS) applyOrigin(h http.Header, origin string) {
	switch {
	case slices.Contains(c.Origins, "*") && !c.Credentials:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Add("Vary", "Origin")
		if !c.allows(origin) {
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

func (c *CORS) allows(origin string) bool {
	if origin == "" {
		return false
	}
	return slices.Contains(c.Origins, origin) || slices.Contains(c.Origins, "*") ||
		c.Allow != nil && c.Allow(origin)
}

func (c *CORS) applyAllowedHeaders(h http.Header, r *http.Request) {
	const asked = "Access-Control-Request-Headers"
	allowed := strings.Join(c.AllowedHeaders, ",")
	if c.AllowedHeaders == nil {
		h.Add("Vary", asked)
		allowed = r.Header.Get(asked)
	}
	if allowed != "" {
		h.Set("Access-Control-Allow-Headers", allowed)
	}
}
