package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
)

func newURL(inv *invocation) *cobra.Command {
	var asQR, all, asJSON bool
	cmd := &cobra.Command{
		Use:   "url",
		Short: "Print where the pages are open",
		Long: `Print the best address of the running appliance's pages. --qr draws the one
with an IP address, since names under .local do not open on every phone.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := inv.status(cmd.Context())
			if err != nil {
				return err
			}
			inv.addToken(status.URLs)
			switch {
			case asJSON:
				return inv.printJSON(map[string][]string{"urls": status.URLs})
			case asQR:
				return inv.printQR(status)
			case all:
				printList(inv, status.URLs)
			case len(status.URLs) > 0:
				printList(inv, status.URLs[:1])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asQR, "qr", false, "draw a QR code, and the address below it")
	cmd.Flags().BoolVar(&all, "all", false, "print every address, the best first")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print every address as JSON, the best first")
	cmd.MarkFlagsMutuallyExclusive("qr", "all", "json")
	return cmd
}

func (inv *invocation) printQR(status app.Status) error {
	url, ok := app.AddressURL(status.URLs)
	if !ok {
		return &failure{exitFailed, fmt.Errorf("the appliance has no address yet"), "connect it to a network"}
	}
	code, err := app.QRText(url)
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintf(inv.out, "%s%s\n", code, url); err != nil {
		return err
	}
	if strings.HasPrefix(url, "http://127.") || strings.HasPrefix(url, "http://[::1]") {
		reportHint(inv.err, "this opens on this machine alone; connect it to a network, and let http.listen be open to it")
	}
	return nil
}

// addToken makes the URLs open where an access token is asked for, if this
// user may know it.
func (inv *invocation) addToken(urls []string) {
	loaded, err := config.Load(inv.sources())
	if err != nil || loaded.Access.Policy != "token" || loaded.Access.Token == "" {
		return
	}
	for i := range urls {
		urls[i] += "?token=" + loaded.Access.Token
	}
}
