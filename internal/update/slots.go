package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// Slots are the two places for programs on the data partition.
type Slots struct {
	Dir    string // of the slots
	Binary string // the image's program, which the slot in force covers
}

// CardSlots are those of the card image.
var CardSlots = Slots{Dir: "/data/slots", Binary: "/usr/bin/appliance"}

// record is what is kept of the slots.
type record struct {
	Current string            `json:"current"` // "a", "b", or "" for the image's own program
	Trial   string            `json:"trial,omitempty"`
	Slots   map[string]filled `json:"slots"`
	Last    *Outcome          `json:"last,omitempty"`
}

// Outcome is what became of an update.
type Outcome struct {
	Version    string    `json:"version,omitempty"` // "" where the bundle did not say
	Time       time.Time `json:"time"`
	Error      string    `json:"error,omitempty"` // "" when it is in force
	RolledBack bool      `json:"rolled_back,omitempty"`
}

// Last returns what became of the last update, nil if there was none, and
// whether one is on trial.
func (s Slots) Last() (last *Outcome, trying bool, err error) {
	r, err := s.read()
	return r.Last, r.Trial != "", err
}

// keep records what became of an update that changed nothing else.
func (s Slots) keep(o Outcome) error {
	r, err := s.read()
	if err != nil {
		return err
	}
	r.Last = &o
	return s.write(r)
}

// filled is what a slot holds.
type filled struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

func (s Slots) recordPath() string         { return filepath.Join(s.Dir, "slots.json") }
func (s Slots) program(slot string) string { return filepath.Join(s.Dir, slot, "appliance") }

// read returns what is kept, an empty record where nothing is yet.
func (s Slots) read() (record, error) {
	r := record{Slots: map[string]filled{}}
	text, err := os.ReadFile(s.recordPath())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return record{}, fmt.Errorf("reading the slots: %w", err)
	}
	if r.Slots == nil { // "slots": null
		r.Slots = map[string]filled{}
	}
	return r, nil
}

func (s Slots) write(r record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(s.recordPath(), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("recording the slots: %w", err)
	}
	return nil
}

// Boot puts the slot in force over the image's program, at each boot; image is
// the version of that. A trial that is still open has failed: the power went
// before it was healthy. A program that is not what was installed is left
// alone, and so is one that is older than the image: that was written anew. A
// record that cannot be read is forgotten.
func (s Slots) Boot(image string) error {
	r, err := s.read()
	if err != nil { // the next update begins anew
		return errors.Join(err, s.write(record{}))
	}
	changed := false
	if r.Trial != "" {
		r.Last = &Outcome{
			Version: r.Slots[r.Trial].Version, Time: time.Now(), RolledBack: true,
			Error: "it was not healthy before the power went",
		}
		r.Trial, changed = "", true
	}
	if r.Current != "" && newer(image, r.Slots[r.Current].Version) {
		r.Current, changed = "", true
	}
	if changed {
		if err := s.write(r); err != nil {
			return err
		}
	}
	return s.cover(r.Current, r)
}

// cover mounts a slot's program over the image's; "" uncovers that.
func (s Slots) cover(slot string, r record) error {
	for unix.Unmount(s.Binary, unix.MNT_DETACH) == nil { // every cover there is
	}
	if slot == "" {
		return nil
	}
	program := s.program(slot)
	digest, _, err := digestOf(program)
	if err != nil {
		return err
	}
	if digest != r.Slots[slot].SHA256 {
		return fmt.Errorf("the program in slot %s is damaged; the image's own is used", slot)
	}
	if err := unix.Mount(program, s.Binary, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting slot %s: %w", slot, err)
	}
	// The data partition is mounted noexec; this one file may run.
	const flags = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("", s.Binary, "", flags, ""); err != nil {
		return fmt.Errorf("mounting slot %s: %w", slot, err)
	}
	return nil
}

// other is the slot that is free for the next program.
func other(current string) string {
	if current == "a" {
		return "b"
	}
	return "a"
}
