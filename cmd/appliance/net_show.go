package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
	"server22.local/appliance/netcfg"
)

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
