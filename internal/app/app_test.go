package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/update"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is an appliance of a test.
type running struct {
	*App
	url string
}

// start runs an appliance on a loopback port until the test ends. text is
// more of its configuration.
func start(t *testing.T, text string) *running {
	t.Helper()
	r, stop := startIn(t, t.TempDir(), text)
	t.Cleanup(stop)
	return r
}

// startIn runs one with its files in dir until stop is called.
func startIn(t *testing.T, dir, text string) (r *running, stop func()) {
	t.Helper()
	a := constructIn(t, dir, text)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return &running{a, waitForURL(t, a, done)}, func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	}
}

func construct(t *testing.T, text string) *App {
	t.Helper()
	return constructIn(t, t.TempDir(), text)
}

func constructIn(t *testing.T, dir, text string) *App {
	t.Helper()
	path := filepath.Join(dir, "appliance.toml")
	full := fmt.Sprintf("state = %q\nhttp.listen = ['127.0.0.1:0']\ndiscovery.enabled = false\n%s", filepath.Join(dir, "state"), text)
	if err := os.WriteFile(path, []byte(full), 0o600); err != nil {
		t.Fatal(err)
	}
	src := config.Sources{Path: path, Place: config.Place{State: dir}}
	loaded, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{
		Loaded: loaded, Sources: src, Version: "test", Stdout: io.Discard,
		Log: slog.New(slog.DiscardHandler), Level: &slog.LevelVar{},
	})
}

func waitForURL(t *testing.T, a *App, done <-chan error) string {
	t.Helper()
	for range 1000 {
		select {
		case err := <-done:
			t.Fatalf("Run returned %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if urls := a.site.Load().addressURLs(); len(urls) > 0 && len(a.site.Load().listeners) > 0 {
			if resp, err := http.Get(urls[0] + "healthz"); err == nil {
				resp.Body.Close()
				return urls[0]
			}
		}
	}
	t.Fatal("it does not answer")
	return ""
}

// ask sends a request and returns the answer with its body read.
func (r *running) ask(t *testing.T, method, path, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(r.url, "/")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, answer
}

// session claims the appliance and returns the cookie.
func (r *running) session(t *testing.T) string {
	t.Helper()
	resp, answer := r.ask(t, "POST", "/api/v1/admin/claim", fmt.Sprintf(`{"code":%q,"password":"long enough"}`, r.account.Code()))
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("claiming: %s %s", resp.Status, answer)
	}
	return resp.Header.Get("Set-Cookie")
}

func TestOwnPagesBeforeBuiltInOnes(t *testing.T) {
	r := start(t, "")
	if _, body := r.ask(t, "GET", "/", ""); !bytes.Contains(body, []byte("<!doctype html>")) {
		t.Errorf("the home page is %q", body)
	}
	dir := filepath.Join(r.cfg().State, "www")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, body := r.ask(t, "GET", "/", ""); string(body) != "mine" {
		t.Errorf("my home page is %q", body)
	}
	if resp, _ := r.ask(t, "GET", "/chat/", ""); resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("the chat page: %s, policy %q", resp.Status, resp.Header.Get("Content-Security-Policy"))
	}
}

func TestReadyFollowsHealth(t *testing.T) {
	r := start(t, "")
	if resp, body := r.ask(t, "GET", "/readyz", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("answered %s %s", resp.Status, body)
	}
	r.storeFault(os.ErrInvalid)
	if resp, body := r.ask(t, "GET", "/readyz", ""); resp.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("messages are not stored")) {
		t.Errorf("answered %s %s", resp.Status, body)
	}
	if err := r.selfCheck(t.Context()); err != nil {
		t.Errorf("the watchdog would not be fed: %v", err)
	}
	r.storeFault(nil)
	if resp, _ := r.ask(t, "GET", "/readyz", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("answered %s", resp.Status)
	}
}

func TestStatusForTheAdministrator(t *testing.T) {
	r := start(t, "name = 'kitchen'")
	cookie := r.session(t)
	if _, body := r.ask(t, "GET", "/api/v1/status", ""); !bytes.Contains(body, []byte(`"admin": false`)) || !bytes.Contains(body, []byte(`"claim": "claimed"`)) {
		t.Errorf("for a visitor: %s", body)
	}
	if _, body := r.ask(t, "GET", "/api/v1/status", "", "Cookie", cookie); !bytes.Contains(body, []byte(`"admin": true`)) {
		t.Errorf("for the administrator: %s", body)
	}
}

func TestSettingsOverThePage(t *testing.T) {
	r := start(t, "")
	cookie := r.session(t)
	resp, body := r.ask(t, "PATCH", "/api/v1/admin/settings", `{"name":"kitchen","http.allow_hosts":"pi.example.org"}`, "Cookie", cookie)
	if resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("kitchen")) {
		t.Fatalf("answered %s %s", resp.Status, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "pi.example.org"
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the new host: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	// The session is still open: the change did not touch the password.
	if resp, body := r.ask(t, "GET", "/api/v1/admin/events", "", "Cookie", cookie); resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("configuration changed")) {
		t.Errorf("the events: %s %s", resp.Status, body)
	}
}

func TestPartThatFailsTurnsUpInHealthAndComesBack(t *testing.T) {
	a := construct(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan int, 10)
	runs := 0
	a.front.start(ctx, part{"test part", func(ctx context.Context) error {
		runs++
		began <- runs
		if runs == 1 {
			return io.ErrUnexpectedEOF
		}
		<-ctx.Done()
		return nil
	}})
	<-began
	<-began // a second later
	conditions := a.health.Conditions()
	if len(conditions) != 1 || conditions[0].ID != "part-test part" || conditions[0].Severity != "error" || !strings.Contains(conditions[0].Text, "unexpected EOF") {
		t.Errorf("conditions %+v", conditions)
	}
	cancel()
	a.front.wait()
}

func TestQR(t *testing.T) {
	svg, err := qrSVG("http://192.168.1.22/")
	if err != nil || !bytes.HasPrefix(svg, []byte("<svg ")) || !bytes.Contains(svg, []byte(`fill="#fff"`)) {
		t.Errorf("drew %.60s (%v)", svg, err)
	}
	text, err := QRText("http://192.168.1.22/")
	if err != nil || strings.Count(text, "\n") < 12 {
		t.Errorf("drew %q (%v)", text, err)
	}
}

func TestQRHandler(t *testing.T) {
	a := construct(t, "")
	rec := httptest.NewRecorder()
	a.serveQR(rec, nil)
	if rec.Code != http.StatusNotFound {
		t.Errorf("without an address: answered %d", rec.Code)
	}
	a.update(func(s *site) { s.listeners = []netip.AddrPort{netip.MustParseAddrPort("[::]:8080")} })
	rec = httptest.NewRecorder()
	a.serveQR(rec, nil)
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "image/svg+xml" {
		t.Errorf("answered %d %s", rec.Code, rec.Header().Get("Content-Type"))
	}
}

// TestAnUpdateThatWasTakenBackIsTold reads what the root helper has kept.
func TestAnUpdateThatWasTakenBackIsTold(t *testing.T) {
	dir := t.TempDir()
	slots := update.Slots{Dir: dir}
	a := construct(t, "")
	a.warnOfUpdate(slots)
	if got := a.health.Conditions(); len(got) > 0 {
		t.Errorf("without an update: %+v", got)
	}
	const last = `"slots":{},"last":{"version":"1.2","time":"2026-01-02T03:04:05Z","error":"no answer","rolled_back":true}}`
	keep := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "slots.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keep(`{"current":"a","trial":"b",` + last)
	a.warnOfUpdate(slots)
	if got := a.health.Conditions(); len(got) > 0 {
		t.Errorf("on trial itself: %+v", got)
	}
	keep(`{"current":"a",` + last)
	a.warnOfUpdate(slots)
	got := a.health.Conditions()
	if len(got) != 1 || got[0].Code != health.UpdateUndone || !strings.Contains(got[0].Text, "1.2") || !strings.Contains(got[0].Text, "no answer") {
		t.Errorf("conditions %+v", got)
	}
}
