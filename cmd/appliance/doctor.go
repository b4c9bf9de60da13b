package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
)

func newDoctor(inv *invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, whether or not the appliance runs",
		Long: `Look at the configuration, the daemon, its folder, the network and the pages,
and say what to do about what is wrong. Exits with 3 if something is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e := app.Examination{Socket: inv.socket()}
			e.Loaded, e.Err = config.Load(inv.sources())
			if status, err := inv.status(cmd.Context()); err == nil {
				e.Status = &status
			}
			findings := app.Examine(cmd.Context(), e)
			if err := inv.printFindings(findings, asJSON); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Verdict == "error" {
					return errUnhealthy
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: [{code, subject, verdict, text, hint}]")
	return cmd
}

func (inv *invocation) printFindings(findings []app.Finding, asJSON bool) error {
	if asJSON {
		return inv.printJSON(findings)
	}
	table := tabwriter.NewWriter(inv.out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Verdict, f.Code, f.Subject, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(table, "\t\t\thint: %s\n", f.Hint)
		}
	}
	return table.Flush()
}
