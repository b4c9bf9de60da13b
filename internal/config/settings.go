package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// Set writes keys into settings.toml, the layer of the page and the command
// line, and returns the configuration that results. Nothing is written unless
// the whole would be right. A nil value removes the key from the layer. The
// write is atomic and durable, and processes that share a state folder wait
// for each other.
func (l *Loaded) Set(src Sources, changes map[string]*string) (*Loaded, error) {
	unlock, err := lockFile(l.SettingsPath() + ".lock")
	if err != nil {
		return nil, fmt.Errorf("writing the settings: %w", err)
	}
	defer unlock()
	next, text, err := l.change(src, changes)
	if err != nil {
		return nil, err
	}
	if err := renameio.WriteFile(l.SettingsPath(), text, 0o600, renameio.WithStaticPermissions(0o600)); err != nil {
		return nil, fmt.Errorf("writing the settings: %w", err)
	}
	return next, nil
}

// Preview returns the configuration that Set would result in, and writes
// nothing.
func (l *Loaded) Preview(src Sources, changes map[string]*string) (*Loaded, error) {
	next, _, err := l.change(src, changes)
	return next, err
}

// change returns the changed configuration, and the layer's text.
func (l *Loaded) change(src Sources, changes map[string]*string) (*Loaded, []byte, error) {
	lines, err := readSettingsLines(l.SettingsPath())
	if err != nil {
		return nil, nil, err
	}
	if err := l.edit(lines, changes); err != nil {
		return nil, nil, err
	}
	text := settingsText(lines)
	next, err := load(src, &layer{l.SettingsPath(), text})
	if err != nil {
		return nil, nil, l.unplaced(err)
	}
	return next, text, nil
}

// edit changes the lines of the layer.
func (l *Loaded) edit(lines map[string]string, changes map[string]*string) error {
	scratch := &Loaded{Config: l.Config, Place: l.Place, origins: map[string]origin{}}
	for path, text := range changes {
		key, ok := Lookup(path)
		if !ok {
			return Errors{{Key: path, Message: "unknown key " + path, Hint: meant(path)}}
		}
		if path == "state" {
			return Errors{{Key: path, Message: "state cannot be a setting: the settings are kept in it",
				Hint: "set it in appliance.toml"}}
		}
		if text == nil {
			delete(lines, path)
			continue
		}
		if err := scratch.assignText(key, "", *text); err != nil {
			return Errors{err}
		}
		lines[path] = tomlValue(key.Value(scratch.Config))
	}
	return nil
}

// lockFile waits for a lock that other processes hold.
func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// unplaced removes the place from mistakes in settings that were not written.
func (l *Loaded) unplaced(err error) error {
	errs, _ := errors.AsType[Errors](err)
	for _, e := range errs {
		if e.Source == l.SettingsPath() {
			e.Source, e.Line, e.text = "", 0, nil
		}
	}
	return err
}

// readSettingsLines returns the settings there are, by path, as TOML values.
// Settings that cannot be read are begun anew: they are left out of the
// configuration already.
func readSettingsLines(path string) (map[string]string, error) {
	lines := map[string]string{}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return lines, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	l := &Loaded{origins: map[string]origin{}}
	if err := l.read(path, text); err != nil {
		return lines, nil
	}
	for path := range l.origins {
		if key, ok := Lookup(path); ok {
			lines[path] = tomlValue(key.Value(l.Config))
		}
	}
	return lines, nil
}

func settingsText(lines map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString("# Written by appliance. Change it with the admin page or 'appliance config set'.\n")
	for _, path := range slices.Sorted(maps.Keys(lines)) {
		// Dotted keys need no tables, so that the order does not matter.
		fmt.Fprintf(&b, "%s = %s\n", path, strings.TrimSpace(lines[path]))
	}
	return b.Bytes()
}
