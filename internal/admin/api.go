package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/problem"
)

// API is the administrator's HTTP API. Mount it with Routes.
type API struct {
	Account *Account
	Backend Backend
	// Allow reports whether a request comes from the administrator.
	Allow func(*http.Request) bool
	// Log hears who tried to become the administrator.
	Log *slog.Logger
	// Local says that requests come over the control socket: what needs no
	// session is there, and no browser is.
	Local bool
}

// maxBody is for JSON documents, which are small here.
const maxBody = 64 << 10

// Routes returns every pattern with its handler.
func (a *API) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET /api/v1/admin/settings":   a.only(a.getSettings),
		"PATCH /api/v1/admin/settings": a.only(a.patchSettings),
		"GET /api/v1/admin/events":     a.only(a.getEvents),
		"POST /api/v1/admin/reload":    a.only(a.reload),
		"POST /api/v1/admin/restart":   a.only(a.restart),
		"POST /api/v1/admin/clock":     a.only(a.setClock),

		"GET /api/v1/admin/sockets":          a.only(a.getSockets),
		"DELETE /api/v1/admin/sockets/{sid}": a.only(a.deleteSocket),
		"GET /api/v1/admin/rooms":            a.only(a.getRooms),

		"GET /api/v1/admin/network":          a.only(a.getNetwork),
		"POST /api/v1/admin/network":         a.only(a.tryNetwork),
		"POST /api/v1/admin/network/confirm": a.only(a.confirmNetwork),
		"POST /api/v1/admin/network/revert":  a.only(a.revertNetwork),

		"GET /api/v1/admin/backup": a.only(a.getBackup),
		"PUT /api/v1/admin/backup": a.only(a.putBackup),
		"GET /api/v1/admin/report": a.only(a.getReport),

		"GET /api/v1/admin/update": a.only(a.getUpdate),
		"PUT /api/v1/admin/update": a.only(a.putUpdate),
	}
	if a.Local {
		routes["GET /api/v1/admin/code"] = a.only(a.getCode)
		routes["PUT /api/v1/admin/password"] = a.only(a.putPassword)
		routes["DELETE /api/v1/admin/password"] = a.only(a.deletePassword)
		return routes
	}
	routes["POST /api/v1/admin/claim"] = handler(a.claim)
	routes["POST /api/v1/admin/login"] = handler(a.login)
	routes["POST /api/v1/admin/logout"] = handler(a.logout)
	routes["POST /api/v1/admin/password"] = a.only(a.changePassword)
	// A page of another origin may not even try: stricter than the front
	// door's check, which lets other ports of this host in.
	protection := http.NewCrossOriginProtection()
	for pattern, h := range routes {
		routes[pattern] = protection.Handler(h)
	}
	return routes
}

// handler is a function that answers, or returns why not: the one place where
// errors become answers.
type handler func(http.ResponseWriter, *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if err := h(w, r); err != nil {
		w.Header().Del("Content-Disposition") // a refusal is no file to keep
		problem.Write(w, problemOf(err))
	}
}

// only is for the administrator.
func (a *API) only(h handler) http.Handler {
	return handler(func(w http.ResponseWriter, r *http.Request) error {
		if !a.Allow(r) {
			return problem.New(http.StatusForbidden, "not_admin", "this is for the administrator", "log in at /admin/")
		}
		return h(w, r)
	})
}

func problemOf(err error) problem.Problem {
	if p, ok := errors.AsType[problem.Problem](err); ok {
		return p
	}
	if errs, ok := errors.AsType[config.Errors](err); ok {
		return problem.New(http.StatusUnprocessableEntity, "wrong_setting", errs.Error(), errs[0].Hint)
	}
	switch {
	case errors.Is(err, ErrTooOften):
		return problem.New(http.StatusTooManyRequests, "too_often", err.Error(), "wait half a minute")
	case errors.Is(err, ErrWrong):
		return problem.New(http.StatusForbidden, "wrong", err.Error(), "'appliance admin claim' on the device shows the code; 'appliance admin password' sets a new password")
	case errors.Is(err, ErrWeak):
		return problem.New(http.StatusUnprocessableEntity, "weak_password", err.Error(), "")
	case errors.Is(err, ErrClaimed):
		return problem.New(http.StatusConflict, "claimed", err.Error(), "log in instead")
	case errors.Is(err, ErrUnclaimed):
		return problem.New(http.StatusConflict, "unclaimed", err.Error(), "claim it with the code that the console shows")
	default:
		return problem.New(http.StatusInternalServerError, "internal", err.Error(), "the log has more")
	}
}

// readJSON reads a small document, strictly.
func readJSON[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil && err != io.EOF {
		return v, problem.New(http.StatusBadRequest, "bad_json", fmt.Sprintf("the body is not what is expected: %v", err), "see /docs/")
	}
	return v, nil
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

func (a *API) getSettings(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, struct {
		Settings []Setting `json:"settings"`
	}{a.Backend.Settings()})
}

func (a *API) patchSettings(w http.ResponseWriter, r *http.Request) error {
	changes, err := readJSON[map[string]*string](w, r)
	if err != nil {
		return err
	}
	if _, secret := changes["admin.password_hash"]; secret && !a.Local {
		return problem.New(http.StatusForbidden, "not_admin", "the password has its own way", "POST /api/v1/admin/password")
	}
	if err := a.Backend.Change(r.Context(), changes); err != nil {
		return err
	}
	return a.getSettings(w, r)
}

func (a *API) getEvents(w http.ResponseWriter, r *http.Request) error {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if err != nil && r.URL.Query().Has("after") {
		return problem.New(http.StatusBadRequest, "bad_number", "after is not the id of an event", "")
	}
	return writeJSON(w, struct {
		Events []Event `json:"events"`
	}{a.Backend.Events(after)})
}

func (a *API) reload(w http.ResponseWriter, r *http.Request) error {
	if err := a.Backend.Reload(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) restart(w http.ResponseWriter, _ *http.Request) error {
	a.Backend.Restart()
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// plausible keeps a browser whose own clock was never set from telling it.
var plausible = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (a *API) setClock(w http.ResponseWriter, r *http.Request) error {
	told, err := readJSON[struct {
		Time int64 `json:"time"` // milliseconds since 1970 UTC
	}](w, r)
	if err != nil {
		return err
	}
	now := time.UnixMilli(told.Time)
	if now.Before(plausible) {
		return problem.New(http.StatusUnprocessableEntity, "implausible_time", "that is before this program was made", "set the clock of the browser's device")
	}
	a.Backend.SetClock(now)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// sessionCookie holds an administrator's session in a browser.
const sessionCookie = "appliance_admin"

// setSession gives a browser its session.
func setSession(w http.ResponseWriter, token string) {
	setCookie(w, token, int(sessionLife.Seconds()))
}

// endSession takes it away.
func endSession(w http.ResponseWriter) { setCookie(w, "", -1) }

// setCookie is not Secure: on the LAN it is plain http.
func setCookie(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// SessionOf returns the session that a request's headers carry, "" for none.
// The headers of a Socket.IO handshake do as well.
func SessionOf(h http.Header) string {
	r := http.Request{Header: h}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}
