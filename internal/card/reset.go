package card

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// resetIfAsked forgets everything if there is a file called reset on the FAT
// partition. That file goes first: a device whose reset is cut short must not
// reset itself again after it was set up anew.
func (c *Card) resetIfAsked() error {
	file, ok := c.bootFile("reset", "reset.txt")
	if !ok {
		return nil
	}
	if c.forgets {
		return errors.New("nothing was reset, because there is no data partition")
	}
	c.Logger.Warn("resetting: the owner put a reset file on the card", "file", file)
	if err := c.writableBoot(func() error { return os.Remove(file) }); err != nil {
		// Without this the device would lose everything at every boot.
		return fmt.Errorf("nothing was reset, because the file could not be removed: %w", err)
	}
	var errs []error
	for _, dir := range []string{"state", "ssh", "wifi"} {
		errs = append(errs, os.RemoveAll(filepath.Join(c.Data, dir)))
	}
	return errors.Join(errs...)
}
