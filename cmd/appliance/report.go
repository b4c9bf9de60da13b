package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/blackbox"
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
	section := func(title string) { fmt.Fprintf(w, "\n== %s\n", title) }
	fmt.Fprintf(w, "%s, %s\n", versionText(), time.Now().UTC().Format(time.RFC3339))
	loaded, loadErr := config.Load(inv.sources())
	e := app.Examination{Loaded: loaded, Err: loadErr, Socket: inv.socket()}
	status, statusErr := inv.status(ctx)

	section("status")
	if statusErr != nil {
		fmt.Fprintln(w, statusErr)
	} else {
		e.Status = &status
		if err := printIndented(w, status); err != nil {
			return err
		}
	}
	section("doctor")
	for _, f := range app.Examine(ctx, e) {
		fmt.Fprintf(w, "%-8s %s %s: %s\n", f.Verdict, f.Code, f.Subject, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(w, "%-8s hint: %s\n", "", f.Hint)
		}
	}
	section("configuration")
	if loadErr != nil {
		fmt.Fprintln(w, loadErr)
		return nil
	}
	fmt.Fprintf(w, "%s", loaded.Show())
	section("black box")
	return writeEvents(w, filepath.Join(loaded.State, app.BlackBox))
}

func writeEvents(w io.Writer, dir string) error {
	events, err := blackbox.Read(dir)
	if err != nil {
		_, err = fmt.Fprintf(w, "%v (run this as root)\n", err)
		return err
	}
	boot := ""
	for _, e := range events {
		if e.Boot != boot {
			fmt.Fprintln(w, "-- boot", e.Boot)
			boot = e.Boot
		}
		fmt.Fprintf(w, "%s  %-8s %s\n", e.Time.UTC().Format(time.DateTime), e.Kind, e.Text)
	}
	return nil
}

func printIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
