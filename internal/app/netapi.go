package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/netcfg"
	"server22.local/appliance/netcfg/dhcp4"
)

// defaultTrial is how long a change of the network waits to be confirmed.
const defaultTrial = time.Minute

// tryRequest asks for a change on trial.
type tryRequest struct {
	Changes map[string]*string `json:"changes"`
	Seconds int                `json:"seconds"`
}

// trialRequest confirms or reverts one. Via is the address that the
// confirmation came in on; none is the machine itself.
type trialRequest struct {
	ID  string     `json:"id"`
	Via netip.Addr `json:"via,omitzero"`
}

// netRoutes is the network's part of a control socket.
func netRoutes(mux *http.ServeMux, n network) {
	mux.Handle("GET /api/v1/net", answering(func(w http.ResponseWriter, r *http.Request) (any, error) { return n.Report(r.Context()) }))
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) (any, error){
		"POST /api/v1/net/try": func(w http.ResponseWriter, r *http.Request) (any, error) {
			ask, err := body[tryRequest](w, r)
			if err != nil {
				return nil, err
			}
			limit := time.Duration(ask.Seconds) * time.Second
			if limit <= 0 {
				limit = defaultTrial
			}
			return n.Try(r.Context(), ask.Changes, limit)
		},
		"POST /api/v1/net/confirm": func(w http.ResponseWriter, r *http.Request) (any, error) {
			ask, err := body[trialRequest](w, r)
			if err != nil {
				return nil, err
			}
			return nil, n.Confirm(r.Context(), ask.ID, ask.Via)
		},
		"POST /api/v1/net/revert": func(w http.ResponseWriter, r *http.Request) (any, error) {
			ask, err := body[trialRequest](w, r)
			if err != nil {
				return nil, err
			}
			return nil, n.Revert(r.Context(), ask.ID)
		},
		"POST /api/v1/net/renew":   func(_ http.ResponseWriter, r *http.Request) (any, error) { return nil, n.Renew(r.Context()) },
		"POST /api/v1/net/release": func(_ http.ResponseWriter, r *http.Request) (any, error) { return nil, n.Release(r.Context()) },
		"POST /api/v1/net/reload":  func(_ http.ResponseWriter, r *http.Request) (any, error) { return nil, n.Follow(r.Context()) },
	} {
		mux.Handle(pattern, trusted(answering(handle)))
	}
}

// trusted is for those whom the kernel vouches for.
func trusted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !control.Trusted(r) {
			problem.Write(w, problem.New(http.StatusForbidden, "not_admin", "this is for the administrator", ""))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answering writes what a function returns, or why it does not.
func answering(f func(http.ResponseWriter, *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := f(w, r)
		switch {
		case err != nil:
			problem.Write(w, netProblem(err))
		case answer == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			httpd.WriteJSON(w, http.StatusOK, answer)
		}
	})
}

func body[T any](w http.ResponseWriter, r *http.Request) (v T, err error) {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&v); err != nil {
		return v, problem.New(http.StatusBadRequest, "bad_json", fmt.Sprintf("the body is not what is expected: %v", err), "see /docs/")
	}
	return v, nil
}

func netProblem(err error) problem.Problem {
	if p, ok := errors.AsType[problem.Problem](err); ok {
		return p
	}
	if refusal, ok := errors.AsType[*control.Refusal](err); ok {
		return refusal.Problem
	}
	if errs, ok := errors.AsType[config.Errors](err); ok {
		return problem.New(http.StatusUnprocessableEntity, "wrong_setting", errs.Error(), errs[0].Hint)
	}
	switch {
	case errors.Is(err, netcfg.ErrTrialRunning):
		return problem.New(http.StatusConflict, "trial_running", err.Error(), "'appliance net confirm' or 'appliance net revert' ends it")
	case errors.Is(err, netcfg.ErrNoTrial):
		return problem.New(http.StatusConflict, "no_trial", err.Error(), "")
	case errors.Is(err, netcfg.ErrOldAddress):
		return problem.New(http.StatusConflict, "old_address", err.Error(), "open the page at the new address")
	case errors.Is(err, netcfg.ErrNoDHCP):
		return problem.New(http.StatusConflict, "no_dhcp", err.Error(), "'appliance net show' tells the mode and who configures it; 'appliance net apply net.mode=dhcp' changes it")
	case errors.Is(err, dhcp4.ErrStopped):
		return problem.New(http.StatusConflict, "no_carrier", err.Error(), "is the cable in? See 'appliance net show'")
	case errors.Is(err, control.ErrUnreachable), errors.Is(err, netcfg.ErrNotRunning):
		return problem.New(http.StatusServiceUnavailable, "no_network_daemon", err.Error(), "systemctl start appliance-net")
	default:
		return problem.New(http.StatusUnprocessableEntity, "not_applied", err.Error(), "")
	}
}
