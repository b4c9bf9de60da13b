package engineio

import (
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Header values are shared slices, so that setting them allocates nothing.
var (
	textPlain       = []string{"text/plain; charset=UTF-8"}
	textHTML        = []string{"text/html"}
	textScript      = []string{"text/javascript; charset=UTF-8"}
	octetStream     = []string{"application/octet-stream"}
	applicationJSON = []string{"application/json"}
	noStore         = []string{"no-store"}
	gzipEncoding    = []string{"gzip"}
	deflateEncoding = []string{"deflate"}
	acceptEncoding  = "Accept-Encoding"
)

// respond writes an answer of polling, compressed if that pays.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, contentType []string, data []byte) error {
	if s.o.Compression.NoHTTP || len(data) < s.o.Compression.Threshold {
		return s.respondPlain(w, r, contentType, data)
	}
	w.Header().Add("Vary", acceptEncoding)
	coding := acceptedCoding(r.Header.Get(acceptEncoding))
	if coding == nil {
		return s.respondPlain(w, r, contentType, data)
	}
	s.headers(w.Header(), r, contentType)
	return compressed(w, coding, data)
}

// respondPlain writes an answer of polling as it is.
func (s *Server) respondPlain(w http.ResponseWriter, r *http.Request, contentType []string, data []byte) error {
	s.headers(w.Header(), r, contentType)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(data))}
	_, err := w.Write(data)
	return err
}

// headers sets those that all answers of polling have.
func (s *Server) headers(h http.Header, r *http.Request, contentType []string) {
	h["Content-Type"] = contentType
	h["Cache-Control"] = noStore
	if s.o.Headers != nil {
		s.o.Headers(h, r, r.Method == http.MethodGet && isHandshake(r))
	}
}

// acceptedCoding chooses a content coding that the client accepts, or nil.
func acceptedCoding(header string) []string {
	var chosen []string
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.ReplaceAll(weight, " ", "") == "q=0" {
			continue
		}
		switch strings.TrimSpace(name) {
		case "gzip":
			return gzipEncoding
		case "deflate":
			chosen = deflateEncoding
		}
	}
	return chosen
}

var (
	gzips = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		return w
	}}
	zlibs = sync.Pool{New: func() any {
		w, _ := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed) // what HTTP calls deflate, RFC 9110 §8.4.1.2
		return w
	}}
)

// resetWriter is what the writers of compress/gzip and compress/zlib share.
type resetWriter interface {
	io.WriteCloser
	Reset(io.Writer)
}

func compressed(w http.ResponseWriter, coding []string, data []byte) error {
	pool := &gzips
	if coding[0] == deflateEncoding[0] {
		pool = &zlibs
	}
	w.Header()["Content-Encoding"] = coding
	zw := pool.Get().(resetWriter)
	defer pool.Put(zw)
	zw.Reset(w)
	if _, err := zw.Write(data); err != nil {
		return err
	}
	return zw.Close()
}

// refused answers a request that is not served.
func (s *Server) refused(w http.ResponseWriter, e *ConnectionError, upgrade bool) {
	s.report(e)
	h := w.Header()
	if s.o.Headers != nil {
		s.o.Headers(h, e.Request, isHandshake(e.Request))
	}
	if upgrade {
		h["Content-Type"] = textHTML
		h.Set("Connection", "close")
		if errors.Is(e.Err, errVersion) {
			h.Set("Sec-Websocket-Version", webSocketVersion)
		}
		w.WriteHeader(e.Status())
		io.WriteString(w, e.Message)
		return
	}
	h["Content-Type"] = applicationJSON
	w.WriteHeader(e.Status())
	text, err := json.Marshal(struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
	}{e.Code, e.Message})
	if err == nil {
		w.Write(text) // the peer may be gone; there is nobody to tell
	}
}

func isHandshake(r *http.Request) bool {
	q := parseQuery(r.URL.RawQuery)
	return q.sid == ""
}
