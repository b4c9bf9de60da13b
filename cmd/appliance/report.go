package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
)

func newReport(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "report [FILE]",
		Short: "Write everything that helps to help into one file, without secrets",
		Long: `Write the status, what the doctor finds, the configuration and the black box
(the last life-cycle events, over restarts and power cuts) into FILE, or to
standard output. Passwords and their hashes are left out; names and addresses
are not.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "-" {
				return inv.report(cmd.Context(), inv.out)
			}
			file, err := os.OpenFile(args[0], os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := inv.report(cmd.Context(), file); err != nil {
				return err
			}
			return file.Close()
		},
	}
}

func (inv *invocation) report(ctx context.Context, w io.Writer) error {
	e := app.Examination{Socket: inv.socket()}
	e.Loaded, e.Err = config.Load(inv.sources())
	status, err := inv.status(ctx)
	if err == nil {
		e.Status = &status
	}
	return app.WriteReport(ctx, w, versionText(), e, err)
}
