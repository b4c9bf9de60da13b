package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
)

func newNet(inv *invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "net",
		Short: "Show and configure the network interface",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(fmt.Errorf("net needs a verb"), "show, plan, apply, confirm, revert, dhcp or run")
		},
	}
	cmd.AddCommand(newNetShow(inv), newNetPlan(inv), newNetApply(inv), newNetEnd(inv, "confirm", "Keep the change that is on trial"),
		newNetEnd(inv, "revert", "Take back the change that is on trial"), newNetDHCP(inv), newNetRun(inv))
	return cmd
}

func newNetRun(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Look after the interface, as a process of its own",
		Long: `Configure the interface until SIGTERM, and nothing else: with the rights to
(CAP_NET_ADMIN, CAP_NET_RAW) that 'appliance run' then needs not have. It asks
this process. SIGHUP reads the configuration anew.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, release, err := inv.daemonOptions()
			if err != nil {
				return err
			}
			defer release()
			return app.NewNetDaemon(opts).Run(cmd.Context())
		},
	}
}

// netClient is whoever looks after the interface: `net run`, else the daemon.
func (inv *invocation) netClient() *control.Client {
	if loaded, err := config.Load(inv.sources()); err == nil && exists(loaded.NetSocket()) {
		return control.NewClient(loaded.NetSocket())
	}
	return inv.client()
}

func (inv *invocation) askNet(ctx context.Context, method, path string, send, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return daemonFailure(inv.netClient().Do(ctx, method, path, send, into))
}

func newNetDHCP(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:       "dhcp renew|release",
		Short:     "Extend the lease now, or give it back",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"renew", "release"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return inv.askNet(cmd.Context(), http.MethodPost, "/api/v1/net/"+args[0], nil, nil)
		},
	}
}
