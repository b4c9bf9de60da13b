package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"server22.local/appliance/internal/config"
)

func TestPasswordHash(t *testing.T) {
	hash := Hash("correct horse")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hashed as %s", hash)
	}
	if !Matches(hash, "correct horse") || Matches(hash, "correct horsf") || Matches(hash, "") {
		t.Error("the wrong passwords match")
	}
	if Hash("correct horse") == hash {
		t.Error("the same password has the same hash twice")
	}
	for _, broken := range []string{
		"", "x", "$argon2id$", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$",
	} {
		if Matches(broken, "") || Matches(broken, "correct horse") {
			t.Errorf("%q matches something", broken)
		}
	}
}

// cheap is the hash of "a password", at a cost that tests can afford.
const cheap = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"

func memory(saved *string) func(string) error {
	return func(hash string) error { *saved = hash; return nil }
}

func TestClaimAndSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saved string
		a := NewAccount("", memory(&saved))
		code := a.Code()
		if a.Claimed() || len(code) != 9 {
			t.Fatalf("claimed %v, code %q", a.Claimed(), code)
		}
		if _, err := a.Claim("AAAA-AAAA", "long enough"); !errors.Is(err, ErrWrong) {
			t.Errorf("a wrong code: %v", err)
		}
		if _, err := a.Claim(code, "short"); !errors.Is(err, ErrWeak) {
			t.Errorf("a short password: %v", err)
		}
		changed := a.Changed()
		token, err := a.Claim(strings.ToLower(strings.ReplaceAll(code, "-", " ")), "long enough")
		if err != nil {
			t.Fatal(err)
		}
		<-changed
		if !a.Claimed() || a.Code() != "" || !Matches(saved, "long enough") || !a.Valid(token) || a.Valid("x") || a.Valid("") {
			t.Error("the claim did not hold")
		}
		if _, err := a.Claim(code, "long enough"); !errors.Is(err, ErrClaimed) {
			t.Errorf("a second claim: %v", err)
		}

		time.Sleep(sessionLife - time.Second)
		if !a.Valid(token) {
			t.Error("the session ended too early")
		}
		time.Sleep(sessionLife + time.Second)
		if a.Valid(token) {
			t.Error("the session did not end")
		}
		token, err = a.Login("long enough")
		if err != nil || !a.Valid(token) {
			t.Fatalf("login: %v", err)
		}
		a.Logout(token)
		if a.Valid(token) {
			t.Error("logout did not end the session")
		}
	})
}

func TestChangingThePasswordIsOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAccount("", memory(new(string)))
		if err := a.SetPassword("the old password"); err != nil {
			t.Fatal(err)
		}
		for range attemptBurst - 1 {
			if _, err := a.Login("wrong password"); !errors.Is(err, ErrWrong) {
				t.Fatalf("a wrong password: %v", err)
			}
		}
		token, err := a.ChangePassword("the old password", "the new password")
		if err != nil || !a.Valid(token) {
			t.Errorf("changing it with the last attempt: %v, in: %v", err, a.Valid(token))
		}
		time.Sleep(attemptEvery)
		if _, err := a.ChangePassword("the old password", "another password"); !errors.Is(err, ErrWrong) || !a.Valid(token) {
			t.Errorf("changing it with the old one: %v", err)
		}
	})
}

func TestAttemptsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAccount(cheap, memory(new(string)))
		for range attemptBurst {
			if _, err := a.Login("wrong password"); !errors.Is(err, ErrWrong) {
				t.Fatalf("a wrong password: %v", err)
			}
		}
		if _, err := a.Login("wrong password"); !errors.Is(err, ErrTooOften) {
			t.Errorf("one attempt too many: %v", err)
		}
		time.Sleep(attemptEvery)
		if _, err := a.Login("wrong password"); !errors.Is(err, ErrWrong) {
			t.Errorf("after a while: %v", err)
		}
	})
}

func TestNewPasswordEndsSessions(t *testing.T) {
	a := NewAccount("", memory(new(string)))
	token, err := a.Claim(a.Code(), "the first one")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetPassword("the second one"); err != nil || a.Valid(token) {
		t.Errorf("err %v, old session valid: %v", err, a.Valid(token))
	}
	if err := a.Reset(); err != nil || a.Claimed() || a.Code() == "" {
		t.Errorf("after a reset: %v, claimed %v", err, a.Claimed())
	}
}

func TestNothingIsClaimedThatCannotBeKept(t *testing.T) {
	full := errors.New("disk full")
	a := NewAccount("", func(string) error { return full })
	if _, err := a.Claim(a.Code(), "long enough"); !errors.Is(err, full) || a.Claimed() {
		t.Errorf("err %v, claimed %v", err, a.Claimed())
	}
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAccount("", memory(new(string)))
		a.hash = "x"
		var tokens []string
		for range maxSessions + 1 {
			a.mu.Lock()
			tokens = append(tokens, a.open())
			a.mu.Unlock()
			time.Sleep(time.Second)
		}
		if a.Valid(tokens[0]) || !a.Valid(tokens[1]) || len(a.sessions) != maxSessions {
			t.Errorf("%d sessions; the oldest is valid: %v", len(a.sessions), a.Valid(tokens[0]))
		}
	})
}

// backend remembers what it was asked.
type backend struct {
	Backend
	closed, via string
	tried       map[string]*string
	changes     map[string]*string
	clock       time.Time
	reloads     int
	broken      error // of Backup
}

func (b *backend) Settings() []Setting { return []Setting{{Key: "name", Value: "server22"}} }
func (b *backend) Change(_ context.Context, changes map[string]*string) error {
	if _, ok := changes["nam"]; ok {
		return config.Errors{{Message: "unknown key nam", Hint: "did you mean name?"}}
	}
	b.changes = changes
	return nil
}
func (b *backend) Events(after uint64) []Event  { return []Event{{ID: after + 1, Text: "started"}} }
func (b *backend) Reload(context.Context) error { b.reloads++; return nil }
func (b *backend) SetClock(now time.Time)       { b.clock = now }

func (b *backend) Sockets() []Socket { return []Socket{{ID: "s1", Address: "10.0.0.9"}} }
func (b *backend) CloseSocket(id string) bool {
	b.closed = id
	return id == "s1"
}
func (b *backend) Rooms(context.Context) ([]Room, error) { return []Room{{Room: "lobby"}}, nil }
func (b *backend) Network(context.Context) (Network, error) {
	return Network{Mode: "observe", Pending: 60}, nil
}
func (b *backend) TryNetwork(_ context.Context, changes map[string]*string) error {
	b.tried = changes
	return nil
}
func (b *backend) ConfirmNetwork(_ context.Context, via netip.Addr) error {
	b.via = via.String()
	return nil
}
func (b *backend) RevertNetwork(context.Context) error { return errors.New("nothing to revert") }
func (b *backend) Backup(_ context.Context, w io.Writer) error {
	if b.broken != nil {
		return b.broken
	}
	_, err := io.WriteString(w, "everything")
	return err
}

func (b *backend) Restart()                                 { b.reloads++ }
func (b *backend) Restore(context.Context, io.Reader) error { return nil }
func (b *backend) Report(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "what helps")
	return err
}

func TestDevice(t *testing.T) {
	b := &backend{}
	ask := serve(&API{Log: slog.New(slog.DiscardHandler), Account: NewAccount("", memory(new(string))), Backend: b, Allow: func(*http.Request) bool { return true }})
	for _, step := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/api/v1/admin/sockets", "", 200, `{"sockets":[{"sid":"s1","address":"10.0.0.9"`},
		{"DELETE", "/api/v1/admin/sockets/s1", "", 204, ""},
		{"DELETE", "/api/v1/admin/sockets/s2", "", 404, "no_socket"},
		{"GET", "/api/v1/admin/rooms", "", 200, `{"rooms":[{"room":"lobby"`},
		{"GET", "/api/v1/admin/network", "", 200, `"pending":60`},
		{"POST", "/api/v1/admin/network", `{"mode":"static","addresses":["10.0.0.2/24","fd00::2/64"],"gateway":"10.0.0.1"}`, 200, "observe"},
		{"POST", "/api/v1/admin/network/confirm", "", 200, "observe"},
		{"POST", "/api/v1/admin/network/revert", "", 500, "nothing to revert"},
		{"GET", "/api/v1/admin/backup", "", 200, "everything"},
		{"PUT", "/api/v1/admin/backup", "x", 204, ""},
		{"GET", "/api/v1/admin/report", "", 200, "what helps"},
		{"POST", "/api/v1/admin/restart", "", 202, ""},
	} {
		rec := ask(step.method, step.path, step.body)
		if rec.Code != step.status || !strings.Contains(rec.Body.String(), step.says) {
			t.Errorf("%s %s %s: answered %d %s; want %d with %s", step.method, step.path, step.body, rec.Code, rec.Body, step.status, step.says)
		}
	}
	got := map[string]string{}
	for key, text := range b.tried {
		got[key] = *text
	}
	want := map[string]string{"net.mode": "static", "net.static.addresses": "10.0.0.2/24,fd00::2/64", "net.static.gateway": "10.0.0.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// serve mounts an API and returns what asks it as a browser would, with the
// cookies that it got.
func serve(api *API) (ask func(method, path, body string, header ...string) *httptest.ResponseRecorder) {
	mux := http.NewServeMux()
	for pattern, h := range api.Routes() {
		mux.Handle(pattern, h)
	}
	cookies := map[string]*http.Cookie{}
	return func(method, path, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		for _, c := range rec.Result().Cookies() {
			cookies[c.Name] = c
		}
		return rec
	}
}

func TestLogoutTakesTheCookieAway(t *testing.T) {
	ask := serve(&API{Log: slog.New(slog.DiscardHandler), Account: NewAccount(cheap, memory(new(string))), Backend: &backend{}})
	cookie := ask("POST", "/api/v1/admin/logout", "").Result().Cookies()
	if len(cookie) != 1 || cookie[0].Value != "" || cookie[0].MaxAge >= 0 {
		t.Errorf("the browser is told %v", cookie)
	}
}

// Why there is no backup is not saved as one.
func TestFailedBackupIsNoDownload(t *testing.T) {
	b := &backend{broken: errors.New("the disk is full")}
	ask := serve(&API{Log: slog.New(slog.DiscardHandler), Account: NewAccount(cheap, memory(new(string))), Backend: b, Allow: func(*http.Request) bool { return true }})
	rec := ask("GET", "/api/v1/admin/backup", "")
	if got := rec.Header().Get("Content-Disposition"); rec.Code != http.StatusInternalServerError || got != "" {
		t.Errorf("answered %d, to be kept as %q", rec.Code, got)
	}
}

func TestAPI(t *testing.T) {
	b := &backend{}
	account := NewAccount("", memory(new(string)))
	api := &API{Log: slog.New(slog.DiscardHandler), Account: account, Backend: b}
	api.Allow = func(r *http.Request) bool { return account.Valid(SessionOf(r.Header)) }
	ask := serve(api)
	code := account.Code()

	for _, step := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/api/v1/admin/settings", "", 403, "not_admin"},
		{"PATCH", "/api/v1/admin/settings", `{"name":"x"}`, 403, "not_admin"},
		{"GET", "/api/v1/admin/code", "", 404, ""}, // only over the control socket
		{"POST", "/api/v1/admin/login", `{"password":"anything"}`, 409, "unclaimed"},
		{"POST", "/api/v1/admin/claim", `{"code":"AAAA-AAAA","password":"long enough"}`, 403, "wrong"},
		{"POST", "/api/v1/admin/claim", `{"code":"` + code + `","password":"long enough"}`, 204, ""},
		{"GET", "/api/v1/admin/settings", "", 200, `"key":"name"`},
		{"PATCH", "/api/v1/admin/settings", `{"name":"kitchen","log.level":null}`, 200, "settings"},
		{"PATCH", "/api/v1/admin/settings", `{"nam":"x"}`, 422, "did you mean name?"},
		{"PATCH", "/api/v1/admin/settings", `{"admin.password_hash":"x"}`, 403, "not_admin"},
		{"PATCH", "/api/v1/admin/settings", `{"name":1}`, 400, "bad_json"},
		{"GET", "/api/v1/admin/events?after=7", "", 200, `"id":8`},
		{"GET", "/api/v1/admin/events?after=x", "", 400, "bad_number"},
		{"POST", "/api/v1/admin/clock", `{"time":1}`, 422, "implausible_time"},
		{"POST", "/api/v1/admin/clock", `{"time":1893456000000}`, 204, ""},
		{"POST", "/api/v1/admin/reload", "", 204, ""},
		{"POST", "/api/v1/admin/logout", "", 204, ""},
		{"GET", "/api/v1/admin/settings", "", 403, "not_admin"},
	} {
		rec := ask(step.method, step.path, step.body)
		if rec.Code != step.status || !strings.Contains(rec.Body.String(), step.says) {
			t.Errorf("%s %s %s: answered %d %s; want %d with %s", step.method, step.path, step.body, rec.Code, rec.Body, step.status, step.says)
		}
	}
	if got := b.changes["name"]; got == nil || *got != "kitchen" || b.clock.Year() != 2030 || b.reloads != 1 {
		t.Errorf("the backend got %+v", b)
	}
}

func TestAPIRefusesForeignPages(t *testing.T) {
	account := NewAccount("", memory(new(string)))
	ask := serve(&API{Log: slog.New(slog.DiscardHandler), Account: account, Backend: &backend{}, Allow: func(*http.Request) bool { return true }})
	for _, header := range [][]string{
		{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "http://example.com:3000"}, // another port of this host
	} {
		if rec := ask("POST", "/api/v1/admin/reload", "", header...); rec.Code != http.StatusForbidden {
			t.Errorf("%q: answered %d", header, rec.Code)
		}
	}
	if rec := ask("POST", "/api/v1/admin/reload", "", "Origin", "http://example.com"); rec.Code != http.StatusNoContent {
		t.Errorf("our own page: answered %d", rec.Code)
	}
}

func TestLocalAPI(t *testing.T) {
	account := NewAccount("", memory(new(string)))
	ask := serve(&API{Log: slog.New(slog.DiscardHandler), Account: account, Backend: &backend{}, Allow: func(*http.Request) bool { return true }, Local: true})
	var answer struct{ Code string }
	if err := json.Unmarshal(ask("GET", "/api/v1/admin/code", "").Body.Bytes(), &answer); err != nil || answer.Code != account.Code() {
		t.Errorf("code %q (%v)", answer.Code, err)
	}
	if rec := ask("PUT", "/api/v1/admin/password", `{"password":"long enough"}`); rec.Code != http.StatusNoContent || !account.Claimed() {
		t.Errorf("answered %d", rec.Code)
	}
	if rec := ask("DELETE", "/api/v1/admin/password", ""); rec.Code != http.StatusNoContent || account.Claimed() {
		t.Errorf("answered %d", rec.Code)
	}
}
