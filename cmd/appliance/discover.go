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

// A discovery is what the verb discover was asked for.
type discovery struct {
	typ   string
	all   bool
	json  bool
	watch bool
	wait  time.Duration
}

func newDiscover(inv *invocation) *cobra.Command {
	d := discovery{wait: 2 * time.Second}
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "List the appliances on this network",
		Long: `Ask the network by mDNS who serves pages, and list the appliances among them:
name, address to open, and where it was found. Exits with 1 if there is none.

--watch goes on until it is interrupted: + for what is found, - for what is
gone, ~ for what has changed; with --json one object a line.`,
		Example: "  appliance discover\n  appliance discover --type _ipp._tcp --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), d.wait)
			defer cancel()
			switch {
			case !d.watch:
				return inv.listServices(ctx, d)
			case cmd.Flags().Changed("timeout"):
				return inv.watchServices(ctx, d)
			}
			return inv.watchServices(cmd.Context(), d)
		},
	}
	f := cmd.Flags()
	f.VarP(seconds{&d.wait}, "timeout", "W", "listen for this `TIME`")
	f.BoolVar(&d.all, "all", false, "list every web server")
	f.StringVar(&d.typ, "type", pagesType, "list services of this `TYPE`, as in _ssh._tcp")
	f.BoolVar(&d.watch, "watch", false, "go on, and print what changes")
	f.BoolVar(&d.json, "json", false, "print JSON")
	return cmd
}

func (inv *invocation) listServices(ctx context.Context, d discovery) error {
	services, err := browse.Services(ctx, d.typ)
	if err != nil {
		return err
	}
	services = d.appliances(services)
	if d.json {
		return inv.printJSON(services)
	}
	if len(services) == 0 {
		return &failure{exitFailed, fmt.Errorf("nobody answers"), "--all lists every web server; --timeout 10 gives slow networks more time"}
	}
	return inv.printServices(services)
}

// appliances are those among web servers, unless all are wanted; and all of
// other services.
func (d discovery) appliances(services []browse.Service) []browse.Service {
	if d.all || d.typ != pagesType {
		return services
	}
	list := []browse.Service{}
	for _, s := range services {
		if slices.Contains(s.TXT, app.Mark) {
			list = append(list, s)
		}
	}
	return list
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
