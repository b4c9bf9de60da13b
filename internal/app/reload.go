package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/systemd"
)

// live are the keys that take effect without a restart, beside the network's.
var live = []string{
	"name", "discovery.aliases", "discovery.cnames", "log.level", "http.allow_hosts", "http.origins",
	"access.policy", "access.allow", "access.token", "admin.password_hash", "chat.rooms",
}

// followTimeout is for the network to take a configuration, not for its
// effects.
const followTimeout = 5 * time.Second

// Reload reads the configuration anew and applies what has changed. A
// configuration with mistakes changes nothing.
func (a *App) Reload(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case a.reloads <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *App) followReloads(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.opts.Hangups:
			_ = a.reload() // what is wrong is a condition, and in the log
		case answer := <-a.reloads:
			answer <- a.reload()
		}
	}
}

func (a *App) reload() error {
	a.settings.Lock()
	defer a.settings.Unlock()
	a.tell(systemd.Reloading())
	defer func() { a.tell(systemd.Ready(health.Summary(a.health.Conditions()))) }()
	next, err := config.Load(a.opts.Sources)
	if err != nil {
		a.health.Set(health.Condition{ID: "reload", Code: health.ConfigRefused, Severity: health.Warning, Text: "the new configuration was not taken: " + firstOf(err), Hint: "'appliance config check' shows every mistake"})
		return fmt.Errorf("reloading: %w", err)
	}
	a.health.Clear("reload")
	a.apply(next)
	return nil
}

func firstOf(err error) string {
	if errs, ok := errors.AsType[config.Errors](err); ok {
		return errs[0].Error()
	}
	return err.Error()
}

// apply makes a configuration the present one, as far as that can be done
// while serving, and says what waits for a restart.
func (a *App) apply(next *config.Loaded) {
	before := a.config.Swap(next)
	changed := config.Diff(before.Config, next.Config)
	if len(changed) == 0 {
		return
	}
	a.log.Info("configuration changed", "keys", strings.Join(changed, ","))
	a.opts.Level.Set(next.Log.Level)
	a.guard.SetPolicy(policyOf(next))
	a.account.SetHash(next.Admin.PasswordHash)
	a.rename(before, next)
	a.reconfigure(changed)
	if err := a.data.chat.SetRooms(next.Chat.Rooms); err != nil {
		a.log.Error("the rooms stay as they are", "err", err)
	}
	a.update(func(*site) {}) // our names are from the configuration too

	waiting := slices.DeleteFunc(config.Diff(a.opts.Loaded.Config, next.Config), isLive)
	if len(waiting) == 0 {
		a.health.Clear("restart")
		return
	}
	a.health.Set(health.Condition{
		ID: "restart", Code: health.ConfigWaits, Severity: health.Info,
		Text: "a restart is needed for " + strings.Join(waiting, ", "), Hint: "systemctl restart appliance",
	})
}

// isLive reports whether a key takes effect without a restart.
func isLive(key string) bool {
	return slices.Contains(live, key) || strings.HasPrefix(key, "net.") && key != "net.resolv_conf"
}

// reconfigure has the network follow, if it is concerned.
func (a *App) reconfigure(changed []string) {
	if a.network == nil || !slices.ContainsFunc(changed, func(key string) bool { return key == "name" || strings.HasPrefix(key, "net.") }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), followTimeout) // whoever asked may be gone
	defer cancel()
	if err := a.network.Follow(ctx); err != nil {
		a.log.Error("the network did not follow the configuration", "err", err)
	}
}

func policyOf(l *config.Loaded) httpd.Policy {
	p := httpd.Policy{AllowHosts: l.HTTP.AllowHosts, Origins: l.HTTP.Origins, Allow: l.Access.Allow}
	if l.Access.Policy == "token" {
		p.Token = l.Access.Token
	}
	return p
}
