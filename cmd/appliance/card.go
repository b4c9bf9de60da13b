package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/card"
	"server22.local/appliance/internal/config"
)

// newCard returns the verbs of the card image's root helper. They are for its
// units, not for people, and so not listed.
func newCard() *cobra.Command {
	cmd := &cobra.Command{Use: "card", Short: "The card image's root helper", Hidden: true}
	cmd.AddCommand(&cobra.Command{
		Use:   "boot",
		Short: "Mount the data partition and take the settings from the FAT partition",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			uid, gid, err := daemonUser()
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return card.New(uid, gid, version, log).Start(cmd.Context())
		},
	})
	return cmd
}

// daemonUser is whom the daemon runs as.
func daemonUser() (uid, gid int, err error) {
	u, err := user.Lookup("appliance")
	if err != nil {
		return 0, 0, fmt.Errorf("finding the daemon's user: %w", err)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(uidErr, gidErr)
}

// newHostname returns the verb of appliance-hostname.service.
func newHostname(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:    "hostname",
		Short:  "Give the machine the configured name (root)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			loaded, err := config.Load(inv.sources())
			if err != nil {
				return err
			}
			return setHostname(loaded.Name)
		},
	}
}

// setHostname tells the kernel, and the next boot where /etc can be written.
func setHostname(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	const file = "/etc/hostname"
	if old, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(old)) == name {
		return nil
	}
	err := os.WriteFile(file, []byte(name+"\n"), 0o644)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
		return nil // the card's root is read-only; the next boot comes through here again
	}
	return err
}
