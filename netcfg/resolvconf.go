package netcfg

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ManagedError is the error of writing a resolver file that another program
// manages.
type ManagedError struct{ Path, Manager string }

func (e *ManagedError) Error() string {
	return fmt.Sprintf("%s is %s's: the resolver file belongs to another program", e.Path, e.Manager)
}

const (
	// maxServers is as many as the C library looks at (MAXNS of resolv.h).
	maxServers = 3
	// backupName keeps, in the state folder, the file that was there before ours.
	backupName = "resolv.conf.original"
)

// resolverFile is the file that we write.
type resolverFile struct {
	path     string
	stateDir string // for the original
	quarrel  quarrel
}

// write replaces the file unless it says the same already; where there is
// nothing to say, what was there before ours comes back. The first time, what
// somebody else wrote is kept in the state folder. A link into a manager's
// folder is left alone (*ManagedError), and so is an immutable file; any other link
// is followed, so that /etc/resolv.conf can point to a file that an unprivileged
// daemon may replace.
func (f *resolverFile) write(n nameService) error {
	if manager := managerOfLink(f.path); manager != "" {
		return &ManagedError{f.path, manager}
	}
	if n.empty() {
		return f.restore()
	}
	target, err := linkTarget(f.path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	old, err := os.ReadFile(target)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	text := n.file()
	if bytes.Equal(old, text) {
		return nil
	}
	if isImmutable(target) {
		return fmt.Errorf("%s is immutable (chattr +i), and stays as it is", target)
	}
	if f.quarrel.tooHot(time.Now()) {
		return fmt.Errorf("writing %s: %w", f.path, errQuarrel)
	}
	if !missing && !parseResolver(old).Ours {
		if err := backUp(f.stateDir, old); err != nil {
			return fmt.Errorf("keeping the original of %s: %w", f.path, err)
		}
	}
	if err := overwrite(target, text); err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	return nil
}

// overwrite replaces a file, or its content where it is a mount point, as
// containers have it.
func overwrite(path string, text []byte) error {
	err := replaceFile(path, text)
	if errors.Is(err, unix.EBUSY) {
		return os.WriteFile(path, text, 0o644)
	}
	return err
}

// isImmutable asks for the attribute before anything is written, since the
// answer to a renaming would come only after.
func isImmutable(path string) bool {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &stat)
	return err == nil && stat.Attributes&unix.STATX_ATTR_IMMUTABLE != 0
}

// linkTarget follows one symbolic link, whose target need not exist.
func linkTarget(path string) (string, error) {
	target, err := os.Readlink(path)
	if err != nil {
		return path, nil // not a link, or not there
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	if info, err := os.Lstat(target); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return "", fmt.Errorf("%s is a link to a link", path)
	}
	return target, nil
}

// backUp keeps the original, once.
func backUp(stateDir string, original []byte) error {
	if stateDir == "" {
		return nil
	}
	path := filepath.Join(stateDir, backupName)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return err
	}
	return replaceFile(path, original)
}

// restore puts back the file that was there before ours, or removes ours if there
// was none. A file that is not ours any more is left alone.
func (f *resolverFile) restore() error {
	target, err := linkTarget(f.path)
	if err != nil {
		return fmt.Errorf("restoring %s: %w", f.path, err)
	}
	now, err := os.ReadFile(target)
	if err != nil || !parseResolver(now).Ours {
		return nil
	}
	backup := filepath.Join(f.stateDir, backupName)
	original, err := os.ReadFile(backup)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.Remove(target)
	case err == nil:
		err = overwrite(target, original)
	}
	if err != nil {
		return fmt.Errorf("restoring %s: %w", f.path, err)
	}
	if err := os.Remove(backup); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restoring %s: %w", f.path, err)
	}
	return nil
}
