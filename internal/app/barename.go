package app

import (
	"context"
	"fmt"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/llmnr"
	"server22.local/appliance/discovery/nbns"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/health"
)

// newBareName makes what answers for the name without .local, nil where that
// is off. It has no name before the mDNS responder has won one.
func (a *App) newBareName(cfg *config.Loaded, s site) (*llmnr.Responder, error) {
	if !cfg.Discovery.LLMNR {
		return nil, nil
	}
	return llmnr.New(llmnr.Config{
		Interfaces: linksFor(s.snapshot),
		Filter:     linkFilter(cfg.Discovery.Interfaces),
		Logger:     a.log.With("part", "llmnr"),
	})
}

// newNetBIOSName makes what answers very old Windows, nil where that is off.
func (a *App) newNetBIOSName(cfg *config.Loaded, s site) *nbns.Responder {
	if !cfg.Discovery.NBNS {
		return nil
	}
	return nbns.New(nbns.Config{
		Interfaces: linksFor(s.snapshot),
		Filter:     linkFilter(cfg.Discovery.Interfaces),
		Logger:     a.log.With("part", "nbns"),
	})
}

// followBareName tells where another host has the bare name.
func (a *App) followBareName(ctx context.Context) error {
	for state := range a.llmnr.Watch(ctx) {
		a.reportBareConflict(state)
	}
	return nil
}

func (a *App) reportBareConflict(state llmnr.State) {
	const id = "bare-name-conflict"
	for _, link := range state.Links {
		if link.Phase == llmnr.Conflict {
			a.health.Set(health.Condition{
				ID: id, Code: health.NameBareTaken, Severity: health.Warning,
				Text: fmt.Sprintf("%s without .local is taken by %s on %s", state.Name, link.Rival.WithZone(""), link.Interface),
				Hint: fmt.Sprintf("use %s.local, or take another name: appliance name NEW-NAME", state.Name),
			})
			return
		}
	}
	a.health.Clear(id)
}

// setBareName lets the bare name be the one that is ours with .local.
func (a *App) setBareName(host discovery.NameState) {
	if !host.Held {
		return
	}
	if a.nbns != nil {
		a.nbns.SetName(host.Label())
	}
	if a.llmnr == nil {
		return
	}
	if err := a.llmnr.SetName(host.Label()); err != nil {
		a.log.Error("the bare name was not taken", "err", err)
	}
}
