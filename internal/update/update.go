package update

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"aead.dev/minisign"
)

// Trial is how long a new program may take until it is healthy.
const Trial = time.Minute

// ErrRolledBack is returned when the new program was not healthy, and the one
// before is in force again.
var ErrRolledBack = errors.New("the new version was not healthy; the one before is back")

// ErrOlder is returned for a bundle that is not newer than what runs.
var ErrOlder = errors.New("the bundle is not newer than what runs")

// ErrFailedBefore is returned for a version that was taken back the last time.
var ErrFailedBefore = errors.New("this version was tried, and taken back")

// Updater applies bundles. Only one may do so at a time; the caller is root.
type Updater struct {
	Slots   Slots
	Keys    []minisign.PublicKey
	Arch    string // runtime.GOARCH
	Running string // the version that runs
	Older   Policy // whether an older bundle may be applied

	// SkipFailed leaves out a version that was taken back the last time: what
	// is found by itself, as on a stick, is found again at each boot.
	SkipFailed bool

	// Restart restarts the services.
	Restart func(ctx context.Context) error
	// Healthy returns nil once the given version serves, or why it does not.
	Healthy func(ctx context.Context, version string) error

	Logger *slog.Logger
}

// Policy says what to do with a bundle that is not newer.
type Policy string

// The policies. The zero value refuses.
const (
	RefuseOlder Policy = ""
	AllowOlder  Policy = "allow"
)

// Apply verifies the bundle in a file, puts its program into the free slot
// and in force, and takes it back unless it is healthy in time. It returns
// the version of the bundle. What became of it is kept for [Slots.Last],
// unless it was not tried because of its version.
func (u *Updater) Apply(ctx context.Context, path string) (version string, err error) {
	version, err = u.apply(ctx, path)
	if err != nil && !errors.Is(err, ErrOlder) && !errors.Is(err, ErrFailedBefore) && !errors.Is(err, ErrRolledBack) {
		err = errors.Join(err, u.Slots.keep(Outcome{Version: version, Time: time.Now(), Error: err.Error()}))
	}
	return version, err
}

func (u *Updater) apply(ctx context.Context, path string) (version string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := open(file, u.Keys)
	if err != nil {
		return "", err
	}
	if u.Older == RefuseOlder && !newer(b.Version, u.Running) {
		return b.Version, fmt.Errorf("%w (%s, %s runs)", ErrOlder, b.Version, u.Running)
	}
	r, err := u.Slots.read()
	if err != nil {
		return b.Version, err
	}
	if u.SkipFailed && r.Last != nil && r.Last.RolledBack && r.Last.Version == b.Version {
		return b.Version, fmt.Errorf("%w (%s)", ErrFailedBefore, b.Version)
	}
	slot := other(r.Current)
	if err := u.fill(slot, b); err != nil {
		return b.Version, err
	}
	r.Slots[slot] = filled{Version: b.Version, SHA256: b.Programs[u.Arch].SHA256}
	r.Trial = slot
	if err := u.Slots.write(r); err != nil {
		return b.Version, err
	}
	return b.Version, u.try(ctx, r)
}

// fill puts the bundle's program into a slot.
func (u *Updater) fill(slot string, b *bundle) error {
	if err := os.MkdirAll(filepath.Join(u.Slots.Dir, slot), 0o755); err != nil {
		return err
	}
	program, r, err := b.find(u.Arch)
	if err != nil {
		return err
	}
	return writeProgram(u.Slots.program(slot), r, program)
}

// try puts the slot on trial in force, and decides.
func (u *Updater) try(ctx context.Context, r record) error {
	slot, version := r.Trial, r.Slots[r.Trial].Version
	u.Logger.Info("trying", "version", version, "slot", slot)
	failure := u.Slots.cover(slot, r)
	if failure == nil {
		failure = u.Restart(ctx)
	}
	if failure == nil {
		failure = u.waitHealthy(ctx, version)
	}
	r.Trial = ""
	r.Last = &Outcome{Version: version, Time: time.Now()}
	if failure == nil {
		r.Current = slot
		if err := u.Slots.write(r); err != nil {
			return err
		}
		u.Logger.Info("updated", "version", version)
		return nil
	}
	u.Logger.Error("rolling back", "version", version, "err", failure)
	r.Last.Error, r.Last.RolledBack = failure.Error(), true
	// Back, whatever became of the caller.
	back := context.WithoutCancel(ctx)
	return errors.Join(ErrRolledBack, failure, u.Slots.cover(r.Current, r), u.Slots.write(r), u.Restart(back))
}

// waitHealthy asks until the answer is good, or the trial is over.
func (u *Updater) waitHealthy(ctx context.Context, version string) error {
	ctx, cancel := context.WithTimeout(ctx, Trial)
	defer cancel()
	for {
		err := u.Healthy(ctx, version)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not healthy within %v: %w", Trial, err)
		case <-time.After(time.Second):
		}
	}
}
