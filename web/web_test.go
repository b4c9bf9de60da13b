package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// budget is what everything but the documentation may weigh on the wire.
const budget = 60_000

// statusAbsent is how the tests know the handler of what is not there.
const statusAbsent = http.StatusTeapot

func serve(t testing.TB, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	handler, err := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(statusAbsent) }))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func get(t testing.TB, url string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return serve(t, r)
}

func TestPagesReferToWhatIsServed(t *testing.T) {
	reference := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	for _, page := range Pages() {
		w := get(t, page)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("GET %s: %d, %s", page, w.Code, w.Header().Get("Content-Type"))
		}
		html := w.Body.String()
		if strings.Contains(html, "{{") {
			t.Errorf("%s has a hole that was not filled", page)
		}
		if want := `<a href="` + page + `" aria-current="page">`; page != "/" && !strings.Contains(html, want) {
			t.Errorf("%s does not mark its place in the navigation", page)
		}
		for _, match := range reference.FindAllStringSubmatch(html, -1) {
			if url := match[1]; strings.HasPrefix(url, "/") && get(t, strings.Split(url, "#")[0]).Code != http.StatusOK {
				t.Errorf("%s refers to %s, which is not served", page, url)
			}
		}
	}
}

func TestPagesHaveNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|<script(?:[^>]*)>[^<]|\son\w+=|\sstyle=|javascript:|https?://[^"]*\.(?:js|css)"`)
	for _, page := range Pages() {
		w := get(t, page)
		if got := inline.FindString(w.Body.String()); got != "" {
			t.Errorf("%s has %q, which its policy forbids", page, got)
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", page, csp)
		}
	}
}

func TestModulesImportWhatIsServed(t *testing.T) {
	imports := regexp.MustCompile(`(?m)^(?:import|export) (?:(?:\w+|\{[^}]*\}) from )?"([^"]+)";|import\("([^"]+)"\)`)
	each(t, "assets/js", func(name string, body []byte) {
		for _, match := range imports.FindAllSubmatch(body, -1) {
			target := path.Join(path.Dir(name), string(match[1])+string(match[2]))
			target = strings.TrimPrefix(strings.Replace(target, "assets/vendor", "vendor", 1), "/")
			if _, err := fs.Stat(files, target); err != nil {
				t.Errorf("%s imports %s%s: %v", name, match[1], match[2], err)
			}
		}
		if sink := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).Find(body); sink != nil {
			t.Errorf("%s uses %s: text becomes vnodes here, never markup", name, sink)
		}
	})
}

func TestAssetsAreKeptByVersion(t *testing.T) {
	html := get(t, "/").Body.String()
	url := regexp.MustCompile(`/assets/\w+/js/home\.js`).FindString(html)
	if got := get(t, url).Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("%s: Cache-Control %q; want immutable", url, got)
	}
	if got := get(t, "/assets/older/js/home.js"); got.Code != http.StatusOK || got.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("an older page's asset: %d, Cache-Control %q; want it, not kept", got.Code, got.Header().Get("Cache-Control"))
	}
	if got := get(t, "/").Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("a page has Cache-Control %q; want no-cache", got)
	}
}

func TestMaintainersFilesAreNotServed(t *testing.T) {
	for _, url := range []string{"/assets/x/vendor/refresh.sh", "/assets/x/", "/assets/", "/layout.html", "/web.go", "/assets/x/../layout.html"} {
		if got := get(t, url).Code; got != statusAbsent {
			t.Errorf("GET %s: %d, want what answers for the absent", url, got)
		}
	}
}

func TestCompressionAndETag(t *testing.T) {
	plain := get(t, "/chat/")
	packed := get(t, "/chat/", "Accept-Encoding", "br, gzip")
	if packed.Header().Get("Content-Encoding") != "gzip" {
		t.Fatal("gzip was accepted and not given")
	}
	r, err := gzip.NewReader(bytes.NewReader(packed.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r); err != nil || !bytes.Equal(body, plain.Body.Bytes()) {
		t.Errorf("the compressed page is another page (%v)", err)
	}
	if plain.Header().Get("ETag") == packed.Header().Get("ETag") {
		t.Error("both forms have the same ETag")
	}
	for _, accept := range []string{"", "gzip"} {
		tag := get(t, "/chat/", "Accept-Encoding", accept).Header().Get("ETag")
		again := get(t, "/chat/", "Accept-Encoding", accept, "If-None-Match", tag)
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("Accept-Encoding %q, If-None-Match: %d with %d bytes; want 304 with none", accept, again.Code, again.Body.Len())
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "deflate, gzip": true, "*": true, "br": false, "gzip;q=0": false,
		"gzip; q=0.5": true, "identity, gzip;q=0.000": false, "gzip;q=x": false, "xgzip": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("Accept-Encoding %q: %t, want %t", header, got, want)
		}
	}
}

func TestSqueeze(t *testing.T) {
	in := "// What it does.\nexport const a = 1; // one\n\n  if (a) {\n    go(\"http://x\");\n  }\n"
	want := "\nexport const a = 1;\n\nif (a) {\ngo(\"http://x\");\n}\n"
	if got := string(squeeze("x.js", []byte(in))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(squeeze("x.svg", []byte(in))); got != in {
		t.Errorf("a file of another kind became %q", got)
	}
}

func TestMethodsAndSlash(t *testing.T) {
	if got := serve(t, httptest.NewRequest(http.MethodPost, "/chat/", nil)).Code; got != statusAbsent {
		t.Errorf("POST: %d, want what answers for the absent", got)
	}
	if got := serve(t, httptest.NewRequest(http.MethodHead, "/chat/", nil)); got.Code != http.StatusOK || got.Body.Len() != 0 {
		t.Errorf("HEAD: %d with %d bytes", got.Code, got.Body.Len())
	}
	if got := get(t, "/chat"); got.Header().Get("Location") != "/chat/" {
		t.Errorf("GET /chat: %d to %q, want a redirect to /chat/", got.Code, got.Header().Get("Location"))
	}
}

// TestWeight holds the budget in two ways: for all files together without the
// plotting library, which loads when something is plotted, and for each page
// with whatever it may load.
func TestWeight(t *testing.T) {
	together := 0
	weigh := func(name string) int {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "assets/") {
			body = squeeze(name, body)
		}
		return len(compress(body))
	}
	loaded := make(map[string]bool)
	for _, page := range pages {
		if page.name == "docs" {
			continue
		}
		names := closure(t, page.name)
		total := 0
		for name := range names {
			total += weigh(name)
			if !loaded[name] && !strings.Contains(name, "uplot") {
				together += weigh(name)
			}
			loaded[name] = true
		}
		t.Logf("%6d bytes: %s", total, page.path)
		if total > budget {
			t.Errorf("%s weighs %d bytes compressed, more than %d", page.path, total, budget)
		}
	}
	t.Logf("%6d bytes: together, without the plotting library", together)
	if together > budget {
		t.Errorf("the pages weigh %d bytes compressed together, more than %d", together, budget)
	}
}

// closure lists the files that a page may load: what the layout names, and
// what its modules import or load by address.
func closure(t testing.TB, page string) map[string]bool {
	t.Helper()
	names := map[string]bool{"layout.html": true, "pages/" + page + ".html": true, "assets/icon.svg": true}
	names["assets/css/base.css"], names["assets/css/"+page+".css"] = true, true
	reference := regexp.MustCompile(`"(\.\.?/[\w./-]+\.(?:m?js|css))"`)
	var visit func(name string)
	visit = func(name string) {
		if names[name] {
			return
		}
		names[name] = true
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range reference.FindAllSubmatch(body, -1) {
			target := path.Join(path.Dir(name), string(match[1]))
			visit(strings.Replace(target, "assets/vendor", "vendor", 1))
		}
	}
	visit("assets/js/" + page + ".js")
	return names
}

// TestVendor holds the libraries to the sums in vendor.txt, and vendor.txt to
// the libraries.
func TestVendor(t *testing.T) {
	list, err := fs.ReadFile(files, "vendor/vendor.txt")
	if err != nil {
		t.Fatal(err)
	}
	licences, err := fs.ReadFile(files, "vendor/LICENCES.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"vendor.txt": true, "LICENCES.txt": true, "refresh.sh": true}
	for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 5 || fields[0] == "#" {
			continue
		}
		name, version, file, want := fields[0], fields[1], fields[3], fields[4]
		known[file] = true
		body, err := fs.ReadFile(files, "vendor/"+file)
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is not what npm has as %s %s: its sum is %x", file, name, version, sum)
		}
		if !bytes.Contains(licences, []byte(name+" "+version+"\n")) {
			t.Errorf("LICENCES.txt has no licence of %s %s", name, version)
		}
	}
	if len(known) < 7 {
		t.Errorf("vendor.txt names %d files; it was not understood", len(known)-3)
	}
	each(t, "vendor", func(name string, _ []byte) {
		if !known[path.Base(name)] {
			t.Errorf("%s is not in vendor.txt", name)
		}
	})
}

func each(t testing.TB, root string, visit func(name string, body []byte)) {
	t.Helper()
	err := fs.WalkDir(files, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err == nil {
			visit(name, body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMissingPageIsForPeople(t *testing.T) {
	person := get(t, "/nothing", "Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	if person.Code != http.StatusNotFound || !strings.Contains(person.Body.String(), "nothing here") || person.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("a browser: %d, policy %q, %s", person.Code, person.Header().Get("Content-Security-Policy"), person.Body)
	}
	if program := get(t, "/nothing", "Accept", "*/*"); program.Code != statusAbsent {
		t.Errorf("a program: %d, want what answers for the absent", program.Code)
	}
}

// What squeeze takes for a comment must not be in a string.
func TestNoStringLooksLikeAComment(t *testing.T) {
	each(t, "assets/js", func(name string, body []byte) {
		for i, line := range strings.Split(string(body), "\n") {
			code, _, found := strings.Cut(line, " // ")
			if found && strings.Count(code, `"`)%2 != 0 {
				t.Errorf("%s:%d: a string has what looks like a comment", name, i+1)
			}
		}
	})
}
