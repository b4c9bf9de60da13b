package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/blackbox"
)

// Event is one line of the log.
type Event = admin.Event

// Report is what helps to help, in one file without secrets.
type Report struct {
	Title       string // the program that writes it
	Examination Examination
	Unreachable error   // why the examination has no status
	Log         []Event // the daemon's last lines
	State       string  // the folder of the black box
}

// Write writes the report as text. What cannot be found out is said in its
// place, and the rest goes on.
func (r Report) Write(ctx context.Context, w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %s\n", r.Title, time.Now().UTC().Format(time.RFC3339))
	for _, section := range []struct {
		title string
		write func(context.Context, io.Writer)
	}{
		{"machine", writeMachine},
		{"status", r.writeStatus},
		{"doctor", r.writeFindings},
		{"configuration", r.writeConfiguration},
		{"log", r.writeLog},
		{"black box", r.writeBox},
	} {
		fmt.Fprintf(&b, "\n== %s\n", section.title)
		section.write(ctx, &b)
	}
	_, err := b.WriteTo(w)
	return err
}

// writeMachine asks what a sandboxed daemon may ask too.
func writeMachine(_ context.Context, w io.Writer) {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		fmt.Fprintf(w, "%s %s %s\n", unix.ByteSliceToString(name.Sysname[:]), unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Machine[:]))
	}
	if model, err := os.ReadFile("/sys/firmware/devicetree/base/model"); err == nil {
		fmt.Fprintln(w, strings.TrimRight(string(model), "\x00\n"))
	}
	if release, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(release)) {
			if value, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				fmt.Fprintln(w, strings.Trim(value, "\"\n"))
			}
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		unit := uint64(info.Unit)
		fmt.Fprintf(w, "up for %v, %d MiB of memory, %d free, load %.2f\n", time.Duration(info.Uptime)*time.Second,
			uint64(info.Totalram)*unit>>20, uint64(info.Freeram)*unit>>20, float64(info.Loads[0])/(1<<16))
	}
}

func (r Report) writeStatus(_ context.Context, w io.Writer) {
	if r.Examination.Status == nil {
		fmt.Fprintln(w, r.Unreachable)
		return
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r.Examination.Status); err != nil {
		fmt.Fprintln(w, err)
	}
}

func (r Report) writeFindings(ctx context.Context, w io.Writer) {
	for _, f := range Examine(ctx, r.Examination) {
		fmt.Fprintf(w, "%-8s %s %s: %s\n", f.Verdict, f.Code, f.Subject, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(w, "%-8s hint: %s\n", "", f.Hint)
		}
	}
}

func (r Report) writeConfiguration(_ context.Context, w io.Writer) {
	if r.Examination.Loaded == nil {
		fmt.Fprintln(w, r.Examination.Err)
		return
	}
	fmt.Fprintf(w, "%s", r.Examination.Loaded.Show())
}

func (r Report) writeLog(_ context.Context, w io.Writer) {
	if len(r.Log) == 0 {
		fmt.Fprintln(w, "none; 'journalctl -u appliance -u appliance-net' may have more")
	}
	for _, e := range r.Log {
		fmt.Fprintf(w, "%s  %-5s %s", time.UnixMilli(e.Time).UTC().Format(time.DateTime), e.Level, e.Text)
		for _, key := range slices.Sorted(maps.Keys(e.Attrs)) {
			fmt.Fprintf(w, " %s=%q", key, e.Attrs[key])
		}
		fmt.Fprintln(w)
	}
}

func (r Report) writeBox(_ context.Context, w io.Writer) {
	events, err := blackbox.Read(filepath.Join(r.State, blackBoxDir))
	if err != nil {
		fmt.Fprintf(w, "%v (run this as root)\n", err)
	}
	boot := ""
	for _, e := range events {
		if e.Boot != boot {
			fmt.Fprintln(w, "-- boot", e.Boot)
			boot = e.Boot
		}
		fmt.Fprintf(w, "%s  %-8s %s\n", e.Time.UTC().Format(time.DateTime), e.Kind, e.Text)
	}
}

// Report is admin.Backend's.
func (a *App) Report(ctx context.Context, w io.Writer) error {
	status := a.status(nil)
	return Report{
		Title: "appliance " + a.opts.Version, State: a.cfg().State, Log: a.events.after(0),
		Examination: Examination{Loaded: a.cfg(), Status: &status},
	}.Write(ctx, w)
}
