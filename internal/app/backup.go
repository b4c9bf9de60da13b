package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"server22.local/appliance/internal/chat"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/internal/store"
)

// backedUp are the files that travel with the database.
var backedUp = []string{config.SettingsFile, namesFile}

// backupPath is where backups are sent to: larger bodies than elsewhere.
const backupPath = "/api/v1/admin/backup"

// maxBackup is how large a file may be that is restored from, in bytes: the
// database, and what travels with it.
func maxBackup(cfg *config.Loaded) int64 { return int64(cfg.Store.MaxSize) + 16<<20 }

// Backup is admin.Backend's: one file with everything that is kept, while
// everything goes on.
func (a *App) Backup(ctx context.Context, w io.Writer) error {
	return backup(ctx, a.data.store, a.cfg().State, w)
}

func backup(ctx context.Context, s *store.Store, state string, w io.Writer) error {
	files, err := readFiles(state)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(state, ".backup-*")
	if err != nil {
		return fmt.Errorf("making a backup: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "backup")
	if err := s.Backup(ctx, path, files); err != nil {
		return fmt.Errorf("making a backup: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the backup: %w", err)
	}
	defer file.Close()
	if _, err := io.Copy(w, file); err != nil {
		return fmt.Errorf("sending the backup: %w", err)
	}
	return nil
}

func readFiles(state string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range backedUp {
		text, err := os.ReadFile(filepath.Join(state, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("making a backup: %w", err)
		default:
			files[name] = text
		}
	}
	return files, nil
}

// Restore is admin.Backend's: everything is as it was when the backup was
// made, on this device or another.
func (a *App) Restore(ctx context.Context, r io.Reader) error {
	err := restore(ctx, a.data.store, a.cfg().State, r)
	if errors.Is(err, store.ErrNoBackup) {
		return problem.New(http.StatusUnprocessableEntity, "no_backup", store.ErrNoBackup.Error(), "'appliance backup FILE' and the admin page make one")
	}
	if err != nil {
		return err
	}
	if err := errors.Join(a.data.chat.Reload(ctx), a.data.bus.Reload(ctx)); err != nil {
		return fmt.Errorf("reading what was restored: %w", err)
	}
	a.data.tutorial.Reload()
	a.dropClients() // what they hold is of another history
	a.log.Info("a backup was restored")
	return a.Reload(ctx)
}

// dropClients has every client connect anew and catch up.
func (a *App) dropClients() {
	for _, namespace := range a.realtime.Namespaces() {
		for socket := range namespace.Sockets() {
			socket.Drop()
		}
	}
}

func restore(ctx context.Context, s *store.Store, state string, r io.Reader) error {
	file, err := os.CreateTemp(state, ".restore-*")
	if err != nil {
		return fmt.Errorf("receiving the backup: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = io.Copy(file, r)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("receiving the backup: %w", err)
	}
	files, err := s.Restore(ctx, file.Name())
	if err != nil {
		return fmt.Errorf("restoring the backup: %w", err)
	}
	// It is another history now, and gets another name.
	if err := s.Dict(chatState).PutWait(ctx, chat.KeyHistory, nil); err != nil {
		return fmt.Errorf("restoring the backup: %w", err)
	}
	for _, name := range backedUp {
		if text, ok := files[name]; ok {
			if err := renameio.WriteFile(filepath.Join(state, name), text, 0o600, renameio.WithStaticPermissions(0o600)); err != nil {
				return fmt.Errorf("restoring %s: %w", name, err)
			}
		}
	}
	return nil
}

// BackupOffline makes a backup where no daemon runs.
func BackupOffline(ctx context.Context, cfg *config.Loaded, w io.Writer) error {
	return withStore(ctx, cfg, func(s *store.Store) error { return backup(ctx, s, cfg.State, w) })
}

// RestoreOffline reads a backup where no daemon runs.
func RestoreOffline(ctx context.Context, cfg *config.Loaded, r io.Reader) error {
	return withStore(ctx, cfg, func(s *store.Store) error { return restore(ctx, s, cfg.State, r) })
}

// withStore runs f with the store open, and nobody else at it.
func withStore(ctx context.Context, cfg *config.Loaded, f func(*store.Store) error) error {
	state, err := openState(cfg.State)
	if err != nil {
		return err
	}
	defer state.Close()
	s, err := store.Open(ctx, storeConfig(cfg))
	if err != nil {
		return storeFailure(cfg.State, err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	<-s.Ready()
	err = f(s)
	stop()
	return errors.Join(err, <-ended)
}
