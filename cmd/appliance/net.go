package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
	"server22.local/appliance/netcfg"
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
			src := inv.sources()
			loaded, err := config.Load(src)
			if err != nil {
				return err
			}
			level := &slog.LevelVar{}
			level.Set(loaded.Log.Level)
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			return app.NewNetDaemon(app.Options{
				Loaded: loaded, Sources: src, Version: version, Log: newLog(level), Level: level, Hangups: hangups,
			}).Run(cmd.Context())
		},
	}
}

// netClient is whoever looks after the interface: `net run`, else the daemon.
func (inv *invocation) netClient() *control.Client {
	if loaded, err := config.Load(inv.sources()); err == nil {
		if _, err := os.Stat(loaded.NetSocket()); err == nil {
			return control.NewClient(loaded.NetSocket())
		}
	}
	return inv.client()
}

func (inv *invocation) askNet(ctx context.Context, method, path string, send, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return daemonFailure(inv.netClient().Do(ctx, method, path, send, into))
}

func newNetShow(inv *invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the interface, who configures it, and how to reserve its address",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := inv.netReport(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return inv.printJSON(report)
			}
			return writeReport(inv.out, report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// netReport asks the daemon, or looks for itself where none runs.
func (inv *invocation) netReport(ctx context.Context) (netcfg.Report, error) {
	var report netcfg.Report
	err := inv.askNet(ctx, http.MethodGet, "/api/v1/net", nil, &report)
	if err == nil || !errors.Is(err, control.ErrUnreachable) {
		return report, err
	}
	loaded, err := config.Load(inv.sources())
	if err != nil {
		return report, err
	}
	return app.LookAtNetwork(ctx, loaded)
}

func writeReport(w io.Writer, r netcfg.Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	switch {
	case r.Interface == "" && r.Wanted == netcfg.Auto:
		row("interface", "none is found")
	case r.Interface == "":
		row("interface", "%s is not there", r.Wanted)
	default:
		row("interface", "%s, %s, MTU %d", r.Interface, linkWords(r), r.MTU)
		row("MAC", "%s", r.MAC)
	}
	row("mode", "%s", modeWords(r))
	for _, a := range r.Addrs {
		row("address", "%s", a.Prefix)
	}
	for _, route := range r.Routes {
		if route.Dst.Bits() == 0 {
			row("gateway", "%s", route.Gateway)
		}
	}
	for _, server := range r.Resolver.Servers {
		row("DNS", "%s", server)
	}
	if len(r.Resolver.Search) > 0 {
		row("search", "%s", strings.Join(r.Resolver.Search, " "))
	}
	writeDHCP(row, r)
	if err := table.Flush(); err != nil {
		return err
	}
	return writeAdvice(w, r)
}

func linkWords(r netcfg.Report) string {
	switch {
	case !r.Up:
		return "down"
	case !r.Carrier:
		return "up, nothing plugged in"
	default:
		return "up"
	}
}

func modeWords(r netcfg.Report) string {
	switch {
	case r.Owner != nil:
		return fmt.Sprintf("%s; %s configures it (%s)", r.Mode, r.Owner.Name, r.Owner.Evidence)
	case r.Configures:
		return string(r.Mode)
	default:
		return "observe: nothing is changed"
	}
}

func writeDHCP(row func(string, string, ...any), r netcfg.Report) {
	if r.ClientID != "" {
		row("client id", "%s", r.ClientID)
	}
	if r.DHCP != nil {
		row("DHCP", "%s", r.DHCP.State)
		if lease := r.DHCP.Lease; lease != nil {
			row("lease", "%s from %s, until %s", lease.Prefix, lease.Server, until(r.DHCP.Expires))
			for _, server := range lease.NTP {
				row("NTP", "%s", server)
			}
			if lease.CaptivePortal != "" {
				row("captive portal", "%s", lease.CaptivePortal)
			}
		}
		if r.DHCP.LastError != "" {
			row("last error", "%s", r.DHCP.LastError)
		}
	}
	if r.LinkLocal.IsValid() {
		row("link-local", "%s", r.LinkLocal)
	}
	if r.Registration.State != "" {
		row("registered", "%s: %s", r.Registration.State, r.Registration.Name)
	}
	if r.Trial != nil {
		row("on trial", "%s, taken back at %s unless confirmed", r.Trial.ID, r.Trial.Deadline.Format(time.TimeOnly))
	}
}

func until(t time.Time) string {
	if t.IsZero() {
		return "for ever"
	}
	return t.Format(time.DateTime)
}

func writeAdvice(w io.Writer, r netcfg.Report) error {
	var b strings.Builder
	for _, problem := range r.Problems {
		fmt.Fprintf(&b, "warning: %s\n", problem)
	}
	if r.Owner != nil && r.Owner.HandOver != "" {
		fmt.Fprintf(&b, "\nTo have the appliance configure it instead:\n%s\n", strings.TrimRight(r.Owner.HandOver, "\n"))
	}
	if r.Reservation.Dnsmasq != "" {
		fmt.Fprintf(&b, "\nTo have it always get the same address, on the DHCP server:\n")
		for _, line := range []struct{ server, text string }{
			{"dnsmasq", r.Reservation.Dnsmasq}, {"ISC dhcpd", r.Reservation.ISC}, {"Kea", r.Reservation.Kea},
			{"OpenWrt", r.Reservation.OpenWrt}, {"others", r.Reservation.Router},
		} {
			if line.text != "" {
				fmt.Fprintf(&b, "  %-10s %s\n", line.server, strings.ReplaceAll(strings.TrimSpace(line.text), "\n", "\n             "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newNetPlan(inv *invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan [KEY=VALUE...]",
		Short: "Show what the configuration would change, like a diff",
		Long: `Compare the configuration, with changes of net keys if some are given, with what
is there. Nothing is changed, and no server is asked.`,
		Example: "  appliance net plan net.mode=static net.static.addresses=192.168.1.22/24",
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, wanted, err := inv.planNet(cmd.Context(), args)
			switch {
			case err != nil:
				return err
			case asJSON:
				return inv.printJSON(plan)
			}
			return inv.writePlan(plan, wanted)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: {interface, changes, owner}")
	return cmd
}

// planNet returns the plan, and the settings that it is to fulfil.
func (inv *invocation) planNet(ctx context.Context, args []string) (plan app.NetPlan, wanted config.Net, err error) {
	loaded, err := inv.previewNet(args)
	if err != nil {
		return plan, wanted, err
	}
	if plan, err = app.PlanNetwork(loaded); err != nil {
		return plan, wanted, err
	}
	// Whoever looks after the interface knows best who else does.
	if report, err := inv.netReport(ctx); err == nil && report.Interface == plan.Interface {
		plan.Owner = report.Owner
	}
	return plan, loaded.Net, nil
}

func (inv *invocation) writePlan(plan app.NetPlan, wanted config.Net) error {
	if plan.Owner != nil && len(plan.Changes) > 0 {
		fmt.Fprintf(inv.err, "only once %s has handed %s over; 'appliance net show' tells how:\n", plan.Owner.Name, plan.Interface)
	}
	text := netcfg.Diff(plan.Changes)
	if text == "" {
		text = nothingToChange(plan, wanted) + "\n"
	}
	_, err := io.WriteString(inv.out, text)
	return err
}

// nothingToChange says why a plan is empty, where it could surprise.
func nothingToChange(plan app.NetPlan, wanted config.Net) string {
	switch {
	case wanted.Mode == "observe":
		return "nothing to change: net.mode = \"observe\""
	case plan.Interface == "":
		return fmt.Sprintf("nothing to change: there is no interface for net.interface = %q", wanted.Interface)
	case wanted.Mode == "dhcp":
		return fmt.Sprintf("nothing to change on %s until a DHCP server answers", plan.Interface)
	default:
		return "nothing to change on " + plan.Interface
	}
}

// previewNet is the configuration with changes of net keys.
func (inv *invocation) previewNet(args []string) (*config.Loaded, error) {
	src := inv.sources()
	loaded, err := config.Load(src)
	if err != nil {
		return nil, err
	}
	changes, err := netChanges(args)
	if err != nil {
		return nil, err
	}
	return loaded.Preview(src, changes)
}

func netChanges(args []string) (map[string]*string, error) {
	changes := map[string]*string{}
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		if !ok || !strings.HasPrefix(key, "net.") {
			return nil, usage(fmt.Errorf("%q is not a net key and its value", arg), "as in net.mode=dhcp; 'appliance config default' prints every key")
		}
		changes[key] = textOrNil(text)
	}
	return changes, nil
}

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
