package card

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"

	"server22.local/appliance/internal/config"
)

// SettingsFile is the file in Run that the daemon reads: the owner's, without
// the secrets of [setup].
const SettingsFile = "appliance.toml"

// importSettings hands the owner's file on to the daemon, and does what its
// [setup] asks for, once. A file that cannot be read is an empty one, since the
// defaults of a card keep it reachable.
func (c *Card) importSettings(ctx context.Context) error {
	path, ok := c.bootFile("appliance.toml", "appliance.toml.txt")
	if !ok {
		return errors.Join(
			c.hand(""),
			errors.New("no appliance.toml on the card's first partition; using the defaults"))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return errors.Join(c.hand(""), err)
	}
	loaded, err := config.Load(config.Sources{Path: path, Place: c.place()})
	if err != nil {
		return errors.Join(c.hand(""), explain(err))
	}
	rest, removed := withoutSetup(string(config.UTF8(text)))
	if err := c.hand(rest); err != nil {
		return err
	}
	if loaded.Setup == (config.Setup{}) {
		return nil
	}
	if err := c.setUp(ctx, loaded.Setup); err != nil {
		return err
	}
	if c.forgets {
		return nil // it is asked for again when there is something that keeps it
	}
	if !removed {
		return fmt.Errorf("[setup] was done, but could not be removed from %s: please remove it by hand, it holds secrets", filepath.Base(path))
	}
	return c.writableBoot(func() error { return replaceOnFAT(path, []byte(rest)) })
}

// hand gives the daemon its configuration file.
func (c *Card) hand(text string) error {
	return renameio.WriteFile(filepath.Join(c.Run, SettingsFile), []byte(text), 0o644)
}

// explain is the mistake with the line it is in: what the owner sees is all
// the help there is.
func explain(err error) error {
	var b strings.Builder
	b.WriteString("using the defaults, because ")
	b.WriteString(err.Error())
	if errs, ok := errors.AsType[config.Errors](err); ok {
		b.WriteString("\n" + errs[0].Excerpt())
		if errs[0].Hint != "" {
			b.WriteString("hint: " + errs[0].Hint)
		}
	}
	return errors.New(b.String())
}

var (
	tableHeader = regexp.MustCompile(`^\s*\[{1,2}\s*([A-Za-z0-9_."' -]+?)\s*\]{1,2}`)
	setupKey    = regexp.MustCompile(`^\s*setup\s*[.=]`)
)

// withoutSetup drops the [setup] table, with everything else kept to the
// letter, comments too. It reports whether nothing of it is left.
func withoutSetup(text string) (string, bool) {
	var kept strings.Builder
	inside, top := false, true
	for line := range strings.Lines(text) {
		if m := tableHeader.FindStringSubmatch(line); m != nil {
			inside = m[1] == "setup" || strings.HasPrefix(m[1], "setup.")
			top = false
		}
		if inside || top && setupKey.MatchString(line) {
			continue
		}
		kept.WriteString(line)
	}
	rest := kept.String()
	return rest, !hasSetup(rest)
}

// hasSetup looks again with the real parser: the lines above know the usual
// ways to write a table, not every one.
func hasSetup(text string) bool {
	file, err := os.CreateTemp("", "appliance-settings-*.toml")
	if err != nil {
		return true
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		return true
	}
	loaded, err := config.Load(config.Sources{Path: file.Name(), Place: config.Place{State: os.TempDir(), LowPorts: true}})
	return err != nil || loaded.Setup != (config.Setup{})
}

// replaceOnFAT writes beside and renames; FAT has no atomic rename, but the
// old file or the new one is there after a power cut, as fsck finds it.
func replaceOnFAT(path string, text []byte) error {
	next := path + ".new"
	file, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// bootFile finds the first of the names on the FAT partition, in any case:
// Windows' editors and phones change it.
func (c *Card) bootFile(names ...string) (string, bool) {
	entries, err := os.ReadDir(c.Boot)
	if err != nil {
		return "", false
	}
	for _, name := range names {
		for _, e := range entries {
			if strings.EqualFold(e.Name(), name) && e.Type().IsRegular() {
				return filepath.Join(c.Boot, e.Name()), true
			}
		}
	}
	return "", false
}
