package app

import (
	"context"
	"net/http"
	"path/filepath"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/netcfg"
)

// Settings is admin.Backend's.
func (a *App) Settings() []admin.Setting {
	cfg := a.cfg()
	var settings []admin.Setting
	for _, k := range config.Keys() {
		settings = append(settings, admin.Setting{
			Key: k.Path, Value: cfg.Shown(k), Source: cfg.Origin(k.Path).String(),
			Doc: k.Doc, OneOf: k.OneOf, Secret: k.Secret, Live: isLive(k.Path),
		})
	}
	return settings
}

// Change is admin.Backend's.
func (a *App) Change(_ context.Context, changes map[string]*string) error {
	a.settings.Lock()
	defer a.settings.Unlock()
	next, err := a.cfg().Set(a.opts.Sources, changes)
	if err != nil {
		return err
	}
	a.apply(next)
	return nil
}

// Restart is admin.Backend's. Whoever asked still gets an answer: requests have
// their grace.
func (a *App) Restart() {
	a.log.Info("the administrator asked for a restart")
	a.restart(ErrRestart)
}

// saveHash keeps a new password.
func (a *App) saveHash(hash string) error {
	change := &hash
	if hash == "" {
		change = nil
	}
	return a.keep(map[string]*string{"admin.password_hash": change})
}

// keep writes settings for a part that knows them already, and so needs not
// be told.
func (a *App) keep(changes map[string]*string) error {
	a.settings.Lock()
	defer a.settings.Unlock()
	next, err := a.cfg().Set(a.opts.Sources, changes)
	if err != nil {
		return err
	}
	a.config.Store(next)
	return nil
}

// keepNetwork writes the network's settings that were confirmed.
func (a *App) keepNetwork(s netcfg.Settings) error {
	return a.keep(settingChanges(settingsOf(a.cfg()), s))
}

// Events is admin.Backend's.
func (a *App) Events(after uint64) []admin.Event { return a.events.after(after) }

// isAdmin reports whether a request carries an administrator's session.
func (a *App) isAdmin(r *http.Request) bool {
	return r != nil && a.account.Valid(admin.SessionOf(r.Header))
}

// controlServer is what the command line talks to: the status for everybody
// on the machine, the administrator's API for those whom the kernel vouches
// for.
func (a *App) controlServer() *control.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /api/v1/status", httpd.StatusHandler(a.status))
	api := admin.API{Account: a.account, Backend: a, Allow: control.Trusted, Local: true, Log: a.log.With("part", "admin")}
	for pattern, handler := range api.Routes() {
		mux.Handle(pattern, handler)
	}
	netRoutes(mux, a.network)
	mux.Handle("/", http.HandlerFunc(notFound))
	return &control.Server{Path: filepath.Join(a.cfg().RuntimeDir(), control.SocketName), Handler: mux, Log: a.log}
}
