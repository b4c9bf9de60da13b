package admin

import (
	"errors"
	"io"
	"net/http"
	"syscall"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/internal/update"
)

// Update is how this device is updated.
type Update struct {
	Version string     `json:"version"` // that runs
	Way     update.Way `json:"way"`     // who updates: bundle, packages or hand
	State   string     `json:"state"`   // idle, waiting or trying
	Last    *Outcome   `json:"last,omitempty"`
}

// The states of an update.
const (
	UpdateIdle    = "idle"    // there is none
	UpdateWaiting = "waiting" // a bundle waits for the root helper
	UpdateTrying  = "trying"  // a new version is on trial
)

// Outcome is what became of the last update.
type Outcome struct {
	Version    string `json:"version"`
	Time       int64  `json:"time"`            // milliseconds since 1970 UTC
	Error      string `json:"error,omitempty"` // "" when it is in force
	RolledBack bool   `json:"rolled_back,omitempty"`
}

func (a *API) getUpdate(w http.ResponseWriter, _ *http.Request) error {
	state, err := a.Backend.Update()
	if err != nil {
		return err
	}
	return writeJSON(w, state)
}

// putUpdate takes a bundle. It is answered when the bundle is known to be
// good; whether the new version is, GET tells a while later.
func (a *API) putUpdate(w http.ResponseWriter, r *http.Request) error {
	version, err := a.Backend.TakeUpdate(r.Body)
	if err != nil {
		// A browser that is still sending would see the connection end, and
		// not why.
		_, _ = io.Copy(io.Discard, r.Body)
		return updateProblem(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	return writeJSON(w, struct {
		Version string `json:"version"`
	}{version})
}

func updateProblem(err error) error {
	if _, ok := errors.AsType[problem.Problem](err); ok {
		return err
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.New(http.StatusRequestEntityTooLarge, "too_large", tooLarge.Error(), "no update is that large")
	}
	switch {
	case errors.Is(err, update.ErrUntrusted):
		return problem.New(http.StatusUnprocessableEntity, "untrusted", err.Error(), "put the signer's .pub file beside appliance.toml on the card's first partition, and restart")
	case errors.Is(err, update.ErrOlder):
		return problem.New(http.StatusConflict, "not_newer", err.Error(), "'appliance update --older FILE' on the device applies it all the same")
	case errors.Is(err, update.ErrBusy):
		return problem.New(http.StatusConflict, "busy", err.Error(), "wait a minute")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return problem.New(http.StatusInsufficientStorage, "disk_full", err.Error(), "make room on the card")
	default:
		return problem.New(http.StatusUnprocessableEntity, "not_a_bundle", err.Error(), "choose a file that 'make bundle' made")
	}
}
