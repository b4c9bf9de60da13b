package app

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"time"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/recovery"
)

// recoveries keep what clients miss while they are away, in a file for each
// namespace, so that they go on after a restart too. They are not in the store:
// what they hold is worth minutes, and none of it has to be found again by
// anything but its place.
type recoveries []*recovery.File

// openRecoveries turns recovery on in the namespaces that the configuration
// names. One whose file cannot be used keeps to memory.
func (a *App) openRecoveries(cfg *config.Loaded, io *realtime.Server) (open recoveries, err error) {
	limits := recovery.Limits{Window: time.Duration(cfg.Realtime.Recovery)}
	for _, name := range cfg.Realtime.Recover {
		keep := realtime.Recovery{Limits: limits}
		file, fault := recovery.OpenFile(recoveryPath(cfg.State, name), limits)
		if fault == nil {
			open = append(open, file)
			keep.Log = func(string) (recovery.Log, error) { return file, nil }
		} else {
			a.log.Error("clients of a namespace will not go on after a restart", "nsp", name, "err", fault)
		}
		if err := io.Of(name).Recover(keep); err != nil {
			return nil, errors.Join(err, open.close())
		}
	}
	return open, nil
}

func recoveryPath(state, namespace string) string {
	return filepath.Join(state, "recovery-"+url.PathEscape(namespace))
}

// run keeps the files open for the sessions that end with the daemon.
func (r recoveries) run(ctx context.Context) error {
	<-ctx.Done()
	return r.close()
}

func (r recoveries) close() error {
	var errs []error
	for _, file := range r {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}
