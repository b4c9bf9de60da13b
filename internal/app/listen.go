package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"

	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/systemd"
)

// listen takes over systemd's sockets, or opens our own: all those that were
// asked for; of the default ones as many as there can be.
func (a *App) listen(ctx context.Context) ([]net.Listener, error) {
	cfg := a.cfg()
	explicit := cfg.Origin("http.listen").Source != "default"
	inherited, err := systemd.Listeners()
	if err != nil {
		return nil, err
	}
	if len(inherited) > 0 {
		if explicit {
			a.warnOfMismatch(cfg.HTTP.Listen, inherited)
		}
		return inherited, nil
	}
	if explicit {
		return httpd.Listen(ctx, cfg.HTTP.Listen)
	}
	listeners, errs := httpd.ListenAny(ctx, cfg.HTTP.Listen)
	if len(listeners) == 0 {
		return nil, errs[0]
	}
	for _, err := range errs {
		a.health.Set(notListening(err))
	}
	return listeners, nil
}

func notListening(err error) health.Condition {
	c := health.Condition{ID: "listen", Code: health.ServerNoListen, Severity: health.Warning, Text: err.Error()}
	if hinted, ok := errors.AsType[*httpd.ListenError](err); ok {
		c.Hint = hinted.Hint()
	}
	return c
}

// warnOfMismatch says so when systemd's sockets win over a configuration that
// wants others: it would seem to be ignored otherwise.
func (a *App) warnOfMismatch(wanted []string, inherited []net.Listener) {
	var ports []string
	for _, addr := range listenerAddrs(inherited) {
		ports = append(ports, fmt.Sprint(addr.Port()))
	}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(addr string) bool {
		_, port, err := net.SplitHostPort(addr)
		return err == nil && slices.Contains(ports, port)
	})
	if len(missing) == 0 {
		return
	}
	a.health.Set(health.Condition{
		ID: "listen", Code: health.ServerSockets, Severity: health.Warning,
		Text: fmt.Sprintf("http.listen asks for %v, but systemd's socket unit decides", missing),
		Hint: "systemctl edit appliance.socket, or systemctl disable --now appliance.socket",
	})
}

// ensureToken makes the access token, where one is asked for and there is
// none yet.
func (a *App) ensureToken() error {
	if cfg := a.cfg(); cfg.Access.Policy != "token" || cfg.Access.Token != "" {
		return nil
	}
	if err := a.keep(map[string]*string{"access.token": new(rand.Text())}); err != nil {
		return fmt.Errorf("making an access token: %w", err)
	}
	a.guard.SetPolicy(policyOf(a.cfg()))
	return nil
}
