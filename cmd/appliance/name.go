package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newName(inv *invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "name [NEW-NAME]",
		Short: "Print the name in use, or change it",
		Long: `Print the name that the appliance is found by. With an argument, change it: in
the settings, and at once on the network.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return inv.set(cmd.Context(), map[string]*string{"name": &args[0]})
			}
			status, err := inv.status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return inv.printJSON(map[string]string{"name": status.Name, "wanted": status.Wanted, "host": status.Host})
			}
			_, err = fmt.Fprintln(inv.out, status.Host)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the name in use, the one that was asked for, the host's")
	return cmd
}
