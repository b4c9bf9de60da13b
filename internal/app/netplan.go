package app

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/netcfg"
)

// NetPlan is what a configuration would change. Its JSON form is stable.
type NetPlan struct {
	Interface string          `json:"interface"` // "" if it is not there
	Changes   []netcfg.Change `json:"changes"`
	// Owner is who configures the interface now, nil for nobody else: as long as
	// that is so, nothing of it happens.
	Owner *netcfg.Owner `json:"owner,omitempty"`
}

// PlanNetwork compares a configuration with what is there, and changes
// nothing.
func PlanNetwork(cfg *config.Loaded) (NetPlan, error) {
	snapshot, err := netcfg.Observe(netcfg.DefaultResolvConf)
	if err != nil {
		return NetPlan{}, fmt.Errorf("observing the network: %w", err)
	}
	link, changes, found := netcfg.Preview(settingsOf(cfg), snapshot)
	plan := NetPlan{Changes: append([]netcfg.Change{}, changes...)}
	if found {
		plan.Interface = link.Name
	}
	return plan, nil
}

// LookAtNetwork reports on the interface without a daemon: it observes for a
// moment, which needs no rights.
func LookAtNetwork(ctx context.Context, cfg *config.Loaded) (netcfg.Report, error) {
	configurator, err := netcfg.New(netcfg.Config{
		Settings: netcfg.Settings{Interface: cfg.Net.Interface, ClientID: cfg.Net.ClientID}, Hostname: cfg.Name,
	})
	if err != nil {
		return netcfg.Report{}, fmt.Errorf("observing the network: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error { return configurator.Run(ctx) })
	select {
	case <-configurator.Ready():
	case <-ctx.Done():
	}
	report := configurator.Report()
	stop()
	return report, group.Wait()
}
