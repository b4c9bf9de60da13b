package card

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Suffix is how the name of an update bundle ends.
const Suffix = ".update"

// ErrNoBundle is returned for a stick without an update bundle.
var ErrNoBundle = errors.New("no *" + Suffix + " file in the stick's top folder")

// FromStick mounts a file system, read-only, and hands the newest update
// bundle in its top folder to apply.
func FromStick(ctx context.Context, device string, apply func(ctx context.Context, bundle string) error) error {
	dir, err := os.MkdirTemp("", "appliance-stick-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := mountStick(device, dir); err != nil {
		return err
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	bundle, err := newestBundle(dir)
	if err != nil {
		return err
	}
	return apply(ctx, bundle)
}

func mountStick(device, dir string) error {
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	var errs []error
	for _, kind := range []string{"vfat", "exfat", "ext4"} {
		err := unix.Mount(device, dir, kind, flags, "")
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", kind, err))
	}
	return fmt.Errorf("mounting %s: %w", device, errors.Join(errs...))
}

func newestBundle(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var found []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasSuffix(strings.ToLower(e.Name()), Suffix) && !strings.HasPrefix(e.Name(), ".") {
			found = append(found, info)
		}
	}
	if len(found) == 0 {
		return "", ErrNoBundle
	}
	newest := slices.MaxFunc(found, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return filepath.Join(dir, newest.Name()), nil
}
