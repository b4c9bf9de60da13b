package app

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/internal/update"
)

// updatePath is where bundles are sent to: larger bodies than elsewhere.
const updatePath = "/api/v1/admin/update"

func (a *App) inbox() *update.Inbox {
	return &update.Inbox{Dir: filepath.Join(a.cfg().State, "update"), Arch: runtime.GOARCH, Running: a.opts.Version}
}

// Update is admin.Backend's: how this device is updated.
func (a *App) Update() (admin.Update, error) {
	u := admin.Update{Version: a.opts.Version, Way: update.Here(), State: admin.UpdateIdle}
	last, trying, err := update.CardSlots.Last()
	if err != nil {
		return u, err
	}
	switch {
	case trying:
		u.State = admin.UpdateTrying
	case a.inbox().Waiting():
		u.State = admin.UpdateWaiting
	}
	if last != nil {
		u.Last = &admin.Outcome{Version: last.Version, Time: last.Time.UnixMilli(), Error: last.Error, RolledBack: last.RolledBack}
	}
	return u, nil
}

// TakeUpdate is admin.Backend's: it leaves a bundle to the root helper of the
// card.
func (a *App) TakeUpdate(r io.Reader) (version string, err error) {
	if way := update.Here(); way != update.ByBundle {
		why, hint := way.Refusal()
		return "", problem.New(http.StatusConflict, "no_card", why, hint)
	}
	in := a.inbox()
	if in.Keys, err = update.Keys(update.KeyFolders...); err != nil {
		return "", err
	}
	manifest, err := in.Receive(r)
	if err != nil {
		return "", err
	}
	a.log.Info("an update was received", "version", manifest.Version)
	a.record("update", "received "+manifest.Version)
	return manifest.Version, nil
}

// warnOfUpdate tells that a new version was taken back. While this one is on
// trial itself, what became of the last is past: either it stays, or it is
// stopped.
func (a *App) warnOfUpdate(slots update.Slots) {
	last, trying, err := slots.Last()
	if err != nil || trying || last == nil || !last.RolledBack {
		return
	}
	a.health.Set(health.Condition{
		ID: "update", Code: health.UpdateUndone, Severity: health.Warning,
		Text: fmt.Sprintf("the update to %s was taken back: %s", last.Version, last.Error),
		Hint: "send its makers the report; a later update ends this notice",
	})
}
