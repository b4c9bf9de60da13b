package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// build says what this binary is made of, as far as it was told.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Go      string `json:"go,omitempty"`
}

func newVersion(inv *invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return inv.printJSON(thisBuild())
			}
			_, err := fmt.Fprintln(inv.out, versionText())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// thisBuild is what the release set, and else what the build knows.
func thisBuild() build {
	b := build{Version: version, Commit: commit, Date: date}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision" && len(setting.Value) > 12 && b.Commit == "":
			b.Commit = setting.Value[:12]
		case setting.Key == "vcs.time" && b.Date == "":
			b.Date = setting.Value
		}
	}
	return b
}

func versionText() string {
	b := thisBuild()
	return strings.Join(strings.Fields("appliance "+b.Version+" "+b.Commit+" "+b.Date+" "+b.Go), " ")
}
