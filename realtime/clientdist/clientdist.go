// Package clientdist serves the JavaScript client of Socket.IO, as Node's
// server does beside the protocol: /socket.io/socket.io.js, its minified,
// module and MessagePack variants, and their source maps.
//
// The files are those of the npm package socket.io (client-dist), unchanged
// and kept compressed; LICENSE is theirs, SHA256SUMS are those of the
// originals.
package clientdist

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed *.br *.gz VERSION
var files embed.FS

// Version is that of the client.
func Version() string {
	v, _ := files.ReadFile("VERSION") // embedded
	return strings.TrimSpace(string(v))
}

// Serve answers a request whose path ends in the name of one of the files. It
// returns false, having done nothing, for others.
func Serve(w http.ResponseWriter, r *http.Request) bool {
	name := path.Base(r.URL.Path)
	if !strings.HasPrefix(name, "socket.io.") {
		return false
	}
	zipped, err := files.ReadFile(name + ".gz")
	if err != nil {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return true
	}
	h := w.Header()
	etag := `"` + Version() + `"`
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("ETag", etag)
	h.Add("Vary", "Accept-Encoding")
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	h.Set("Content-Type", contentType(name))
	h.Set("X-Content-Type-Options", "nosniff")
	send(w, r, name, zipped)
	return true
}

func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

func contentType(name string) string {
	if strings.HasSuffix(name, ".map") {
		return "application/json; charset=utf-8"
	}
	return "application/javascript; charset=utf-8"
}

// send chooses the smallest form that the client takes.
func send(w http.ResponseWriter, r *http.Request, name string, zipped []byte) {
	accepted := r.Header.Get("Accept-Encoding")
	body, encoding := zipped, "gzip"
	switch {
	case accepts(accepted, "br"):
		body, _ = files.ReadFile(name + ".br") // embedded like the other
		encoding = "br"
	case !accepts(accepted, "gzip"):
		body, encoding = unzip(zipped), ""
	}
	if encoding != "" {
		w.Header().Set("Content-Encoding", encoding)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	w.Write(body) // an error means that the client has left
}

// accepts reads Accept-Encoding (RFC 9110 §12.5.3) as far as it matters: named
// or not, and not refused by q=0.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			q = strings.ReplaceAll(q, " ", "")
			weight, err := strconv.ParseFloat(strings.TrimPrefix(q, "q="), 64)
			return err != nil || weight > 0
		}
	}
	return false
}

func unzip(zipped []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil // embedded, and checked by the tests
	}
	raw, _ := io.ReadAll(z)
	return raw
}
