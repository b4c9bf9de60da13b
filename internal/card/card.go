package card

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/update"
)

// Card is where the parts of a card are.
type Card struct {
	Boot  string // the FAT partition's mount point
	Data  string // the data partition's
	State string // the daemon's state folder, which is kept on the data partition
	Clock string // systemd's state folder: the last time known, the random seed
	Run   string // what this boot's daemon reads: settings, and problems with them
	UID   int    // of the daemon
	GID   int

	Slots   update.Slots // of programs
	Version string       // of the image's program

	Logger *slog.Logger

	forgets bool // whether what is on Data is lost when the power goes
}

// New returns the card that the image is booted from. uid and gid are the
// daemon's, version is that of the image's program.
func New(uid, gid int, version string, log *slog.Logger) *Card {
	return &Card{
		Boot:  "/boot/firmware",
		Data:  "/data",
		State: "/var/lib/appliance",
		Clock: "/var/lib/systemd",
		Run:   "/run/appliance-card",
		UID:   uid,
		GID:   gid,

		Slots:   update.CardSlots,
		Version: version,

		Logger: log,
	}
}

// ProblemFile is the file in Run that tells the owner what is wrong with the
// card or its settings, a line each. It is absent when nothing is.
const ProblemFile = "problem"

// dataPartition begins the problem of a device that keeps nothing.
const dataPartition = "data partition"

// Start does a boot's work. The error joins what went wrong; the work went on
// regardless.
func (c *Card) Start(ctx context.Context) error {
	var problems []error
	try := func(what string, err error) {
		if err == nil {
			return
		}
		c.Logger.Error(what, "err", err)
		problems = append(problems, fmt.Errorf("%s: %w", what, err))
	}
	if err := os.MkdirAll(c.Run, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", c.Run, err)
	}
	try(dataPartition, c.keepOrForget(c.mountData(ctx)))
	try("update", c.Slots.Boot(c.Version))
	try("reset", c.resetIfAsked())
	try("state folder", c.bindState())
	try("settings", c.importSettings(ctx))
	try("update keys", c.importKeys())
	try("telling the problems", c.writeProblems(problems))
	return errors.Join(problems...)
}

// keepOrForget takes what became of mounting the data partition. Without one
// the device works from memory: it can be reached, and says what is wrong.
func (c *Card) keepOrForget(err error) error {
	if err == nil {
		return nil
	}
	c.forgets = true
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("tmpfs", c.Data, "tmpfs", flags, "mode=755,size=25%"); err != nil {
		return fmt.Errorf("using memory in its place: %w", err)
	}
	return fmt.Errorf("%w; nothing is kept when the power goes", err)
}

// place is what the daemon's defaults depend on.
func (c *Card) place() config.Place {
	return config.Place{State: c.State, LowPorts: true, Card: true}
}

// bindState puts the state folder, and systemd's, on the data partition, and
// makes the folders there that are used where they are.
func (c *Card) bindState() error {
	for _, bind := range []struct {
		from, to string
		mode     os.FileMode
		uid, gid int
	}{
		{"state", c.State, 0o700, c.UID, c.GID},
		{"systemd", c.Clock, 0o755, 0, 0},
		{"ssh", "", 0o700, 0, 0}, // "" binds nothing
		{"wifi", "", 0o700, 0, 0},
		{"slots", "", 0o755, 0, 0},
	} {
		from := filepath.Join(c.Data, bind.from)
		if err := os.MkdirAll(from, bind.mode); err != nil {
			return err
		}
		if err := os.Chown(from, bind.uid, bind.gid); err != nil {
			return err
		}
		if bind.to == "" {
			continue
		}
		if err := unix.Mount(from, bind.to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("binding %s to %s: %w", from, bind.to, err)
		}
	}
	return nil
}

func (c *Card) writeProblems(problems []error) error {
	path := filepath.Join(c.Run, ProblemFile)
	if len(problems) == 0 {
		return removeIfThere(path)
	}
	var text strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&text, p)
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// writableBoot runs f while the FAT partition is mounted read-write.
func (c *Card) writableBoot(f func() error) error {
	const flags = unix.MS_REMOUNT | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("", c.Boot, "", flags, ""); err != nil {
		return fmt.Errorf("making %s writable: %w", c.Boot, err)
	}
	err := f()
	unix.Sync()
	if e := unix.Mount("", c.Boot, "", flags|unix.MS_RDONLY, ""); e != nil {
		err = errors.Join(err, fmt.Errorf("making %s read-only again: %w", c.Boot, e))
	}
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
