package main

import (
	"context"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
)

func newReport(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "report [FILE]",
		Short: "Write everything that helps to help into one file, without secrets",
		Long: `Write what the machine is, the status, what the doctor finds, the configuration,
the daemon's last log lines and the black box (the last life-cycle events, over
restarts and power cuts) into FILE, or to standard output. Passwords, their
hashes, tokens and codes are left out; names and addresses are not.`,
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
	r := app.Report{Title: versionText(), State: inv.stateFolder()}
	e := app.Examination{Socket: inv.socket()}
	e.Loaded, e.Err = config.Load(inv.sources())
	status, err := inv.status(ctx)
	if err == nil {
		e.Status = &status
	}
	r.Examination, r.Unreachable = e, err
	var log struct{ Events []app.Event }
	if inv.ask(ctx, http.MethodGet, "/api/v1/admin/events", nil, &log) == nil { // not for everybody
		r.Log = log.Events
	}
	return r.Write(ctx, w)
}

// stateFolder is where the state is, as far as a wrong configuration tells.
func (inv *invocation) stateFolder() string {
	sources := inv.sources()
	for _, path := range []string{sources.Path, os.DevNull} {
		sources.Path = path
		if loaded, err := config.Load(sources); err == nil {
			return loaded.State
		}
	}
	return sources.Place.State
}
