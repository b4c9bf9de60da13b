package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newAdmin(inv *invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Claim the appliance, and set the administrator's password",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(fmt.Errorf("admin needs a verb"), "claim, password or reset")
		},
	}
	cmd.AddCommand(newAdminClaim(inv), newAdminPassword(inv), newAdminReset(inv))
	return cmd
}

func newAdminClaim(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "claim",
		Short: "Print the code that claims the appliance on its admin page",
		Long:  "Print the code that claims the appliance on its admin page. It is another one\nafter each start.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Claimed bool   `json:"claimed"`
				Code    string `json:"code"`
			}
			if err := inv.ask(cmd.Context(), http.MethodGet, "/api/v1/admin/code", nil, &answer); err != nil {
				return err
			}
			if answer.Claimed {
				return &failure{exitFailed, fmt.Errorf("this device has an administrator already"), "'appliance admin password' sets a new password"}
			}
			_, err := fmt.Fprintln(inv.out, answer.Code)
			return err
		},
	}
}

func newAdminPassword(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "password",
		Short: "Set the administrator's password (read from standard input)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := inv.readPassword()
			if err != nil {
				return err
			}
			return inv.ask(cmd.Context(), http.MethodPut, "/api/v1/admin/password", map[string]string{"password": password}, nil)
		},
	}
}

func newAdminReset(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "reset",
		Short: "Remove the administrator, so that the appliance can be claimed anew",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inv.ask(cmd.Context(), http.MethodDelete, "/api/v1/admin/password", nil, nil)
		},
	}
}

// readPassword reads a line, unseen and twice from a terminal.
func (inv *invocation) readPassword() (string, error) {
	fd := int(os.Stdin.Fd())
	if inv.in != os.Stdin || !term.IsTerminal(fd) {
		line, err := bufio.NewReader(inv.in).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var typed [2]string
	for i, prompt := range []string{"New password: ", "Once more: "} {
		fmt.Fprint(inv.err, prompt)
		line, err := term.ReadPassword(fd)
		fmt.Fprintln(inv.err)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		typed[i] = string(line)
	}
	if typed[0] != typed[1] {
		return "", usage(fmt.Errorf("the two are not the same"), "try again")
	}
	return typed[0], nil
}
