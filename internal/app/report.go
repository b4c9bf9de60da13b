package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"server22.local/appliance/internal/blackbox"
)

// WriteReport writes what helps to help as text: the status, what the doctor
// finds, the configuration without its secrets, and the black box. title says
// which program writes; unreachable is why e has no status.
func WriteReport(ctx context.Context, w io.Writer, title string, e Examination, unreachable error) error {
	section := func(title string) { fmt.Fprintf(w, "\n== %s\n", title) }
	fmt.Fprintf(w, "%s, %s\n", title, time.Now().UTC().Format(time.RFC3339))
	section("status")
	if e.Status == nil {
		fmt.Fprintln(w, unreachable)
	} else if err := writeIndented(w, e.Status); err != nil {
		return err
	}
	section("doctor")
	for _, f := range Examine(ctx, e) {
		fmt.Fprintf(w, "%-8s %s %s: %s\n", f.Verdict, f.Code, f.Subject, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(w, "%-8s hint: %s\n", "", f.Hint)
		}
	}
	section("configuration")
	if e.Loaded == nil {
		fmt.Fprintln(w, e.Err)
		return nil
	}
	fmt.Fprintf(w, "%s", e.Loaded.Show())
	section("black box")
	return writeEvents(w, filepath.Join(e.Loaded.State, BlackBox))
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

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Report is admin.Backend's.
func (a *App) Report(ctx context.Context, w io.Writer) error {
	status := a.status(nil)
	e := Examination{Loaded: a.cfg(), Status: &status}
	return WriteReport(ctx, w, "appliance "+a.opts.Version, e, nil)
}
