package app

import (
	"context"
	"errors"
	"sync"

	"server22.local/appliance/discovery/avahi"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/health"
)

// newPublisher makes what publishes through an avahi-daemon, nil where that is
// not wanted.
func (a *App) newPublisher(cfg *config.Loaded, s site) *avahi.Publisher {
	host, publish := map[string]avahi.HostName{"auto": avahi.Beside, "own": avahi.Own, "rename": avahi.Rename}[cfg.Discovery.Avahi]
	if !publish {
		return nil
	}
	return avahi.New(avahi.Config{
		Content: a.published(cfg, s),
		Host:    host,
		Store:   names(cfg),
		Filter:  linkFilter(cfg.Discovery.Interfaces),
		Logger:  a.log.With("part", "avahi"),
	})
}

// published is the same as what our own responder is told, in one piece.
func (a *App) published(cfg *config.Loaded, s site) avahi.Content {
	return avahi.Content{
		Name: cfg.Name, Aliases: aliases(cfg), Services: a.services(cfg, s), Interfaces: linksFor(s.snapshot),
	}
}

// announce keeps our names on the network: through the avahi-daemon where
// there is one, so that no question gets two answers, and else by ourselves.
func (a *App) announce(ctx context.Context) error {
	for ctx.Err() == nil {
		err := a.respond(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if err := a.publish(ctx); err != nil && !errors.Is(err, avahi.ErrGone) {
			return err
		}
	}
	return nil
}

// respond answers by ourselves until an avahi-daemon is there.
func (a *App) respond(ctx context.Context) error {
	if a.publisher == nil {
		return a.responder.Run(ctx)
	}
	if a.publisher.Present(ctx) {
		return nil
	}
	a.responder.SetMulticastOnly(avahiRuns())
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watch.Go(func() {
		if a.publisher.Await(ctx) == nil {
			stop()
		}
	})
	return a.responder.Run(ctx)
}

// publish hands our names to the avahi-daemon for as long as it is there.
func (a *App) publish(ctx context.Context) error {
	const id = "avahi"
	a.health.Set(health.Condition{
		ID: id, Code: health.NameByAvahi, Severity: health.Info, Text: "the name is published through avahi-daemon",
		Hint: `discovery.avahi = "never" answers beside it`,
	})
	a.throughAvahi.Store(true)
	defer func() {
		a.throughAvahi.Store(false)
		a.health.Clear(id)
	}()
	return a.publisher.Run(ctx)
}

// followPublished tells the others what we are called by Avahi.
func (a *App) followPublished(ctx context.Context) error {
	for state := range a.publisher.Watch(ctx) {
		if a.throughAvahi.Load() && len(state.Names) > 0 {
			a.named(state)
		}
	}
	return nil
}
