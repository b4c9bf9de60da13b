package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/discovery/browse"
	"server22.local/appliance/internal/app"
)

func newDiscover(inv *invocation) *cobra.Command {
	var wait time.Duration
	var all, asJSON bool
	var typ string
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "List the appliances on this network",
		Long: `Ask the network by mDNS who serves pages, and list the appliances among them:
name, address to open, and where it was found. Exits with 1 if there is none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			services, err := browse.Services(ctx, typ)
			if err != nil {
				return err
			}
			if !all && typ == pagesType {
				services = slices.DeleteFunc(services, func(s browse.Service) bool { return !slices.Contains(s.TXT, app.Mark) })
			}
			if asJSON {
				return inv.printJSON(services)
			}
			if len(services) == 0 {
				return &failure{exitFailed, fmt.Errorf("nobody answers"), "--all lists every web server; --timeout 10 gives slow networks more time"}
			}
			return inv.printServices(services)
		},
	}
	f := cmd.Flags()
	wait = 2 * time.Second
	f.VarP(seconds{&wait}, "timeout", "W", "listen for this `TIME`")
	f.BoolVar(&all, "all", false, "list every web server")
	f.StringVar(&typ, "type", pagesType, "list services of this `TYPE`, as in _ssh._tcp")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

const pagesType = "_http._tcp"

func (inv *invocation) printServices(services []browse.Service) error {
	table := tabwriter.NewWriter(inv.out, 0, 0, 2, ' ', 0)
	for _, s := range services {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", printable(s.Instance), printable(location(s)), addresses(s.Addrs), s.Interface)
	}
	return table.Flush()
}

// location is what a browser opens, or host and port.
func location(s browse.Service) string {
	switch {
	case s.Type != pagesType:
		return fmt.Sprintf("%s:%d", s.Host, s.Port)
	case s.Port == 80:
		return "http://" + s.Host + "/"
	default:
		return fmt.Sprintf("http://%s:%d/", s.Host, s.Port)
	}
}

func addresses(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, " ")
}
