package clientdist

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func get(method, name string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/socket.io/"+name, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if !Serve(w, r) {
		w.Code = 0
	}
	return w
}

func TestFilesAreTheOfficialOnes(t *testing.T) {
	sums, err := os.ReadFile("SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	if len(lines) != 8 {
		t.Errorf("%d files", len(lines))
	}
	for _, line := range lines {
		want, name, _ := strings.Cut(line, "  ")
		w := get("GET", name)
		if got := sha256.Sum256(w.Body.Bytes()); w.Code != 200 || hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: status %d, %x", name, w.Code, got)
		}
		if size := w.Body.Len(); get("GET", name, "Accept-Encoding", "gzip").Body.Len() > size/2 ||
			get("GET", name, "Accept-Encoding", "br").Body.Len() > size/2 {
			t.Errorf("%s: hardly compressed", name)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, tt := range []struct {
		name, accept, encoding, contentType string
	}{
		{"socket.io.min.js", "gzip, deflate, br", "br", "application/javascript; charset=utf-8"},
		{"socket.io.min.js", "gzip", "gzip", "application/javascript; charset=utf-8"},
		{"socket.io.js", "", "", "application/javascript; charset=utf-8"},
		{"socket.io.js", "br;q=0, gzip;q=0.5", "gzip", "application/javascript; charset=utf-8"},
		{"socket.io.msgpack.min.js.map", "identity", "", "application/json; charset=utf-8"},
	} {
		h := get("GET", tt.name, "Accept-Encoding", tt.accept).Header()
		if h.Get("Content-Encoding") != tt.encoding || h.Get("Content-Type") != tt.contentType ||
			h.Get("ETag") != `"4.8.4"` || h.Get("Cache-Control") != "public, max-age=0" {
			t.Errorf("%+v: %v", tt, h)
		}
	}
	if w := get("HEAD", "socket.io.js"); w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d bytes, %v", w.Body.Len(), w.Header())
	}
}

func TestNotModifiedAndOthers(t *testing.T) {
	for _, tag := range []string{`"4.8.4"`, `W/"4.8.4"`, `"1", W/"4.8.4"`, `*`} {
		if w := get("GET", "socket.io.js", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Errorf("%s: status %d", tag, w.Code)
		}
	}
	if w := get("GET", "socket.io.js", "If-None-Match", `"4.8.3"`); w.Code != 200 {
		t.Errorf("another version: status %d", w.Code)
	}
	if w := get("POST", "socket.io.js"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
	for _, name := range []string{"", "socket.io.js.br", "socket.io.nothing.js", "VERSION", "LICENSE"} {
		if w := get("GET", name); w.Code != 0 {
			t.Errorf("%q was served", name)
		}
	}
}
