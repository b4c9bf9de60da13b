package card

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"server22.local/appliance/internal/update"
)

// KeysDir is the folder in Run of the public keys whose update bundles this
// device takes, beside those of the image.
const KeysDir = "update.d"

// maxKey is more than a public key takes.
const maxKey = 4096

// importKeys trusts the public keys that the owner put on the FAT partition:
// who can write there owns the device.
func (c *Card) importKeys() error {
	dir := filepath.Join(c.Run, KeysDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.Boot)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Type().IsRegular() && strings.EqualFold(filepath.Ext(e.Name()), ".pub") {
			errs = append(errs, c.importKey(e, dir))
		}
	}
	return errors.Join(errs...)
}

// importKey takes one that is a key: a wrong one must not keep the others from
// being read later.
func (c *Card) importKey(e os.DirEntry, dir string) error {
	info, err := e.Info()
	if err != nil || info.Size() > maxKey {
		return errors.Join(err, errors.New(e.Name()+" is no minisign public key"))
	}
	text, err := os.ReadFile(filepath.Join(c.Boot, e.Name()))
	if err != nil {
		return err
	}
	if _, err := update.ParseKey(text); err != nil {
		return errors.New(e.Name() + " is no minisign public key")
	}
	name := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())) + ".pub"
	return renameio.WriteFile(filepath.Join(dir, name), text, 0o644)
}
