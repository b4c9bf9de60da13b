package httpd

import (
	"encoding/json"
	"net/http"

	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/problem"
)

// Status is GET /api/v1/status, and what `appliance status --json` prints.
// See docs/protocol.md.
type Status struct {
	Name       string      `json:"name"`
	Wanted     string      `json:"wanted"`
	Host       string      `json:"host"`
	Version    string      `json:"version"`
	Uptime     int64       `json:"uptime"` // seconds
	Time       int64       `json:"time"`   // milliseconds since 1970 UTC
	Clock      bool        `json:"clock"`
	URLs       []string    `json:"urls"`
	Interfaces []Interface `json:"interfaces"`
	Claim      string      `json:"claim"`
	Admin      bool        `json:"admin"`
	Conditions []Condition `json:"conditions"`
	Clients    *int        `json:"clients,omitempty"`
	Store      *StoreUsage `json:"store,omitempty"`
}

// Interface is one network interface, as observed.
type Interface struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac"`
	Up        bool     `json:"up"`
	Addresses []string `json:"addresses"`
	Source    string   `json:"source"`
}

// Condition is a health.Condition on the wire.
type Condition struct {
	ID       string          `json:"id"`
	Code     health.Code     `json:"code"`
	Severity health.Severity `json:"severity"`
	Text     string          `json:"text"`
	Hint     string          `json:"hint,omitempty"`
	Since    int64           `json:"since"` // milliseconds since 1970 UTC
}

// StoreUsage is how full the database is, in bytes.
type StoreUsage struct {
	Used int64 `json:"used"`
	Max  int64 `json:"max"`
}

// Conditions converts what the registry holds.
func Conditions(list []health.Condition) []Condition {
	out := make([]Condition, len(list))
	for i, c := range list {
		out[i] = Condition{c.ID, c.Code, c.Severity, c.Text, c.Hint, c.Since.UnixMilli()}
	}
	return out
}

// StatusHandler answers with what status returns for the request.
func StatusHandler(status func(*http.Request) Status) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteJSON(w, http.StatusOK, status(r))
	})
}

// WriteJSON answers with a value that is of this moment.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		problem.Write(w, problem.New(http.StatusInternalServerError, "internal", err.Error(), ""))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone is no error of ours
}

// HealthHandler is /healthz: the process answers, whatever else is wrong.
func HealthHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok\n"))
	})
}

// ReadyHandler is /readyz: 200 while every part works, else 503, with the
// conditions either way.
func ReadyHandler(conditions func() []health.Condition) http.Handler {
	type answer struct {
		Ready      bool        `json:"ready"`
		Conditions []Condition `json:"conditions"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		list := conditions()
		a := answer{Ready: health.Worst(list) != health.Error, Conditions: Conditions(list)}
		status := http.StatusOK
		if !a.Ready {
			status = http.StatusServiceUnavailable
		}
		WriteJSON(w, status, a)
	})
}
