package main

import (
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan returns the verb with which packages are built: the manual pages come
// from the commands themselves, so that they cannot lie.
func newMan(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write the manual pages into FOLDER",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Source: "appliance " + version, Manual: "appliance", Date: sourceDate()}
			return doc.GenManTree(root, header, args[0])
		},
	}
}

// sourceDate is the date that reproducible builds ask for, else today's.
func sourceDate() *time.Time {
	date := time.Now()
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		date = time.Unix(seconds, 0)
	}
	return &date
}
