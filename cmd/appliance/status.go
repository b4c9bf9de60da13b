package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
)

func newStatus(inv *invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the running appliance is, and where it is open",
		Long:  "Say how the running appliance is. Exits with 3 if a part of it does not work.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := inv.status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = inv.printJSON(status)
			} else {
				writeStatus(inv.out, status)
			}
			if err != nil {
				return err
			}
			return unhealthy(status)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as GET /api/v1/status answers it")
	return cmd
}

// unhealthy is the silent failure that exits with 3.
func unhealthy(s app.Status) error {
	for _, c := range s.Conditions {
		if c.Severity == "error" {
			return errUnhealthy
		}
	}
	return nil
}

func writeStatus(w io.Writer, s app.Status) {
	fmt.Fprintf(w, "%s is serving, up %s (version %s)\n", s.Name, readable(time.Duration(s.Uptime)*time.Second), s.Version)
	for _, url := range s.URLs {
		fmt.Fprintf(w, "  %s\n", url)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, i := range s.Interfaces {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", i.Name, upOrDown(i.Up), i.MAC, strings.Join(i.Addresses, " "))
	}
	if s.Clients != nil {
		fmt.Fprintf(table, "clients\t%d\n", *s.Clients)
	}
	if s.Store != nil {
		fmt.Fprintf(table, "store\t%s of %s\n", amount(s.Store.Used), amount(s.Store.Max))
	}
	if !s.Clock {
		fmt.Fprintf(table, "clock\tnever set\n")
	}
	fmt.Fprintf(table, "administrator\t%s\n", administrator(s.Claim))
	table.Flush()
	for _, c := range s.Conditions {
		fmt.Fprintf(w, "%s %s: %s\n", c.Severity, c.Code, c.Text)
		if c.Hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", c.Hint)
		}
	}
}

// administrator says whether somebody looks after the appliance, or how to.
func administrator(claim string) string {
	if claim == "unclaimed" {
		return "nobody yet; 'appliance admin claim' shows the code for it"
	}
	return claim
}

func upOrDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// readable is a length of time as people say it, to the two largest units.
func readable(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// amount is a number of bytes, rounded.
func amount(n int64) string {
	unit, in := "KiB", float64(n)/(1<<10)
	if n >= 1<<20 {
		unit, in = "MiB", float64(n)/(1<<20)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", in), ".0") + " " + unit
}
