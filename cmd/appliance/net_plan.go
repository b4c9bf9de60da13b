package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/netcfg"
)

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
