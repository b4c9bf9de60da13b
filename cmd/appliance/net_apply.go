package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/netcfg"
)

func newNetApply(inv *invocation) *cobra.Command {
	var trial time.Duration
	cmd := &cobra.Command{
		Use:   "apply [KEY=VALUE...]",
		Short: "Put the configuration of the network into force",
		Long: `Read the configuration anew and put its network part into force, with changes of
net keys if some are given: those are kept in the settings.

With --confirm they are on trial: unless 'appliance net confirm' or the admin
page, opened at the new address, confirms them in time, everything is as before.
That holds over crashes and power cuts too.`,
		Example: "  appliance net apply --confirm 60s net.mode=static net.static.addresses=192.168.1.22/24 net.static.gateway=192.168.1.1",
		RunE: func(cmd *cobra.Command, args []string) error {
			changes, err := netChanges(args)
			if err != nil {
				return err
			}
			if trial > 0 {
				return inv.tryNet(cmd.Context(), changes, trial)
			}
			if len(changes) > 0 {
				return inv.set(cmd.Context(), changes)
			}
			return inv.askNet(cmd.Context(), http.MethodPost, "/api/v1/net/reload", nil, nil)
		},
	}
	cmd.Flags().Var(seconds{&trial}, "confirm", "take the changes back after this `TIME` unless they are confirmed")
	return cmd
}

func (inv *invocation) tryNet(ctx context.Context, changes map[string]*string, limit time.Duration) error {
	var trial netcfg.Trial
	err := inv.askNet(ctx, http.MethodPost, "/api/v1/net/try", map[string]any{"changes": changes, "seconds": int(limit.Seconds())}, &trial)
	if err != nil {
		return err
	}
	fmt.Fprintf(inv.err, "in force until %s; keep it with: appliance net confirm\n", trial.Deadline.Format(time.TimeOnly))
	_, err = fmt.Fprintln(inv.out, trial.ID)
	return err
}

// newNetEnd is `net confirm` and `net revert`.
func newNetEnd(inv *invocation, verb, short string) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " [ID]",
		Short: short,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := inv.trialID(cmd.Context(), args)
			if err != nil {
				return err
			}
			return inv.askNet(cmd.Context(), http.MethodPost, "/api/v1/net/"+verb, map[string]string{"id": id}, nil)
		},
	}
}

// trialID is the one that was named, or the one that runs.
func (inv *invocation) trialID(ctx context.Context, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	var report netcfg.Report
	if err := inv.askNet(ctx, http.MethodGet, "/api/v1/net", nil, &report); err != nil {
		return "", err
	}
	if report.Trial == nil {
		return "", &failure{exitFailed, fmt.Errorf("no change is on trial"), "it may have been taken back; 'appliance net show' shows what is in force"}
	}
	return report.Trial.ID, nil
}
