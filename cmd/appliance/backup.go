package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
)

const backupPath = "/api/v1/admin/backup"

func newBackup(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Save messages, values and settings into one file, while everything goes on",
		Long:  "Save everything that the appliance keeps into FILE (- is standard output).\nIt is there whole or not at all.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" {
				return inv.backup(cmd.Context(), inv.out)
			}
			file, err := renameio.NewPendingFile(args[0], renameio.WithPermissions(0o600))
			if failed, ok := errors.AsType[*fs.PathError](err); ok {
				err = failed.Err // its path is that of a temporary file
			}
			if err != nil {
				return fmt.Errorf("writing %s: %w", args[0], err)
			}
			defer file.Cleanup()
			if err := inv.backup(cmd.Context(), file); err != nil {
				return err
			}
			if err := file.CloseAtomicallyReplace(); err != nil {
				return fmt.Errorf("writing the backup: %w", err)
			}
			return nil
		},
	}
}

func (inv *invocation) backup(ctx context.Context, w io.Writer) error {
	answer, err := inv.client().Stream(ctx, http.MethodGet, backupPath, nil)
	if errors.Is(err, control.ErrUnreachable) {
		loaded, err := config.Load(inv.sources())
		if err != nil {
			return err
		}
		return app.BackupOffline(ctx, loaded, w)
	}
	if err != nil {
		return daemonFailure(err)
	}
	defer answer.Close()
	if _, err := io.Copy(w, answer); err != nil {
		return fmt.Errorf("receiving the backup: %w", err)
	}
	return nil
}

func newRestore(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring back what a backup holds, in the place of everything there is",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := inv.in
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return usage(err, "as 'appliance backup FILE' wrote it")
				}
				defer file.Close()
				in = file
			}
			return inv.restore(cmd.Context(), in)
		},
	}
}

func (inv *invocation) restore(ctx context.Context, in io.Reader) error {
	if _, err := inv.status(ctx); err != nil {
		loaded, err := config.Load(inv.sources())
		if err != nil {
			return err
		}
		return app.RestoreOffline(ctx, loaded, in)
	}
	answer, err := inv.client().Stream(ctx, http.MethodPut, backupPath, in)
	if err != nil {
		return daemonFailure(err)
	}
	return answer.Close()
}
