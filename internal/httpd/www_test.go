package httpd

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// www makes a folder of files and what serves it; elsewhere answers 418.
func www(t *testing.T) (dir string, get func(path string, header ...string) *httptest.ResponseRecorder) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "www")
	for name, text := range map[string]string{
		"index.html": "<h1>mine</h1>", "app.mjs": "export {}", "a.wasm": "\x00asm", "notes": "text",
		"game/index.html": "game", "game/main.js": "1", "empty/x.txt": "x", ".secret": "no", "game/.git/config": "no",
		"../outside.txt": "outside",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"leak.txt": "../outside.txt", "etc": "/etc", "same.txt": "empty/x.txt"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	elsewhere := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	handler := WWW{Dir: dir, Next: elsewhere}
	return dir, func(path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		return rec
	}
}

func TestWWWServesFiles(t *testing.T) {
	_, get := www(t)
	for path, want := range map[string]struct{ body, mime string }{
		"/":             {"<h1>mine</h1>", "text/html; charset=utf-8"},
		"/index.html":   {"<h1>mine</h1>", "text/html; charset=utf-8"},
		"/app.mjs":      {"export {}", "text/javascript; charset=utf-8"},
		"/a.wasm":       {"\x00asm", "application/wasm"},
		"/notes":        {"text", "application/octet-stream"},
		"/game/":        {"game", "text/html; charset=utf-8"},
		"/game/main.js": {"1", "text/javascript; charset=utf-8"},
		"/same.txt":     {"x", "text/plain; charset=utf-8"},
	} {
		rec := get(path)
		if rec.Code != 200 || rec.Body.String() != want.body || rec.Header().Get("Content-Type") != want.mime {
			t.Errorf("%s: answered %d %q %q", path, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
		}
		if rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be taken for another type", path)
		}
	}
}

func TestWWWHandsOn(t *testing.T) {
	_, get := www(t)
	for _, path := range []string{
		"/missing", "/empty/", "/empty", "/.secret", "/game/.git/config", "/game/.git/", "/../outside.txt", "/leak.txt",
		"/etc/passwd", "/etc/", "/pipe", "/game\\main.js", "/a\x00b", "/index.html/x", "/..", "/%2e%2e/outside.txt",
	} {
		if rec := get(path); rec.Code != http.StatusTeapot {
			t.Errorf("%q: answered %d %q; want it handed on", path, rec.Code, rec.Body)
		}
	}
}

func TestWWWAppearsAndChanges(t *testing.T) {
	dir, get := www(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if rec := get("/"); rec.Code != http.StatusTeapot {
		t.Errorf("without the folder: answered %d", rec.Code)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("again"), 0o644); err != nil {
		t.Fatal(err)
	}
	if rec := get("/"); rec.Body.String() != "again" {
		t.Errorf("with a new folder: answered %q", rec.Body)
	}
}

func TestWWWConditionsAndRanges(t *testing.T) {
	_, get := www(t)
	etag := get("/index.html").Header().Get("ETag")
	if !strings.HasPrefix(etag, `"`) {
		t.Fatalf("ETag %q", etag)
	}
	if rec := get("/index.html", "If-None-Match", etag); rec.Code != http.StatusNotModified || rec.Body.Len() > 0 {
		t.Errorf("unchanged: answered %d %q", rec.Code, rec.Body)
	}
	if rec := get("/index.html", "Range", "bytes=1-2"); rec.Code != http.StatusPartialContent || rec.Body.String() != "h1" {
		t.Errorf("a range: answered %d %q", rec.Code, rec.Body)
	}
	if rec := get("/index.html", "Range", "bytes=99-"); rec.Code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a range beyond the end: answered %d", rec.Code)
	}
}

func TestWWWFolderRedirect(t *testing.T) {
	_, get := www(t)
	for path, want := range map[string]string{"/game": "./game/", "//game": "./game/"} {
		if rec := get(path); rec.Code != http.StatusMovedPermanently || rec.Header().Get("Location") != want {
			t.Errorf("%s: answered %d to %q; want %q", path, rec.Code, rec.Header().Get("Location"), want)
		}
	}
}
