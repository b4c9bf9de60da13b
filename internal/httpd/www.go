package httpd

import (
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"
)

// Types by extension, so that they do not depend on what is installed on the
// machine. A browser refuses modules and style sheets of another type.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".cjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".md": "text/markdown; charset=utf-8",
	".csv": "text/csv; charset=utf-8", ".xml": "text/xml; charset=utf-8", ".toml": "application/toml",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
	".webp": "image/webp", ".avif": "image/avif", ".ico": "image/x-icon",
	".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
	".wasm": "application/wasm", ".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip",
	".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".wav": "audio/wav", ".mp4": "video/mp4", ".webm": "video/webm",
}

// WWW serves the files of a folder and hands on to Next what is not there. It
// never lists, never shows names that begin with a dot, never leaves the
// folder, whatever links are in it, and opens regular files only. The folder
// may appear, vanish and be replaced at any time.
type WWW struct {
	Dir  string
	Next http.Handler
}

// ServeHTTP answers GET and HEAD of files, with ETag and ranges.
func (s WWW) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isSafe(r.Method) {
		s.Next.ServeHTTP(w, r)
		return
	}
	name, ok := cleanName(r.URL.Path)
	if !ok {
		s.Next.ServeHTTP(w, r)
		return
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		s.Next.ServeHTTP(w, r)
		return
	}
	defer root.Close()
	s.serve(w, r, root, name)
}

func (s WWW) serve(w http.ResponseWriter, r *http.Request, root *os.Root, name string) {
	info, err := root.Stat(name)
	if err == nil && info.IsDir() {
		index := path.Join(name, "index.html")
		if info, err = root.Stat(index); err == nil && !strings.HasSuffix(r.URL.Path, "/") {
			redirectToFolder(w, r)
			return
		}
		name = index
	}
	if err != nil || !info.Mode().IsRegular() {
		s.Next.ServeHTTP(w, r)
		return
	}
	serveFile(w, r, root, name)
}

func serveFile(w http.ResponseWriter, r *http.Request, root *os.Root, name string) {
	file, err := root.Open(name)
	if err != nil {
		status := http.StatusNotFound
		if errors.Is(err, fs.ErrPermission) {
			status = http.StatusForbidden
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		http.Error(w, "the file vanished", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	h.Set("Cache-Control", "no-cache") // kept, and asked for anew: a change shows at once
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", typeOf(name))
	http.ServeContent(w, r, name, info.ModTime(), file)
}

func typeOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t, ok := types[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

// cleanName is the path within the folder; false where it may not be served.
func cleanName(urlPath string) (string, bool) {
	if strings.ContainsAny(urlPath, "\\\x00") {
		return "", false
	}
	for part := range strings.SplitSeq(urlPath, "/") {
		if strings.HasPrefix(part, ".") { // hidden, or a way out
			return "", false
		}
	}
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if name == "" {
		name = "."
	}
	return name, true
}

// redirectToFolder adds the slash without which relative links would break.
// The path is kept relative: no //host can come of it.
func redirectToFolder(w http.ResponseWriter, r *http.Request) {
	target := path.Base(r.URL.Path) + "/"
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", "./"+target)
	w.WriteHeader(http.StatusMovedPermanently)
}
