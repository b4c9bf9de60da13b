package httpd

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// What comes after a literal prefix reaches the handler as it was sent, and
// nothing is redirected.
func TestLiteral(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/topics/{topic...}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.PathValue("topic")))
	})
	handler := literal([]string{"/topics/"}, mux)
	for sent, want := range map[string]string{
		"lab/temp": "lab/temp", "a//b": "a//b", "/a": "/a", "a/": "a/", "a//": "a//", "//": "//",
		"a/../b": "a/../b", "./a": "./a", "a/.": "a/.", "%2Fa": "/a", "a%2Fb": "a/b", "a%20b/%23": "a b/#", "...": "...", "": "",
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/topics/"+sent, nil))
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%q: %d %q; want %q", sent, w.Code, w.Body, want)
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/other//../topics/a", nil))
	if w.Code == http.StatusOK {
		t.Errorf("a path elsewhere is not cleaned: %d", w.Code)
	}
}
