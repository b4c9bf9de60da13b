package netcfg

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrManaged is the error of writing a resolver file that another program
// manages.
var ErrManaged = errors.New("the resolver file belongs to another program")

const (
	// maxServers is as many as the C library looks at (MAXNS of resolv.h).
	maxServers = 3
	// backupName keeps, in the state folder, the file that was there before ours.
	backupName = "resolv.conf.original"
)

// nameService is what goes into the resolver file.
type nameService struct {
	servers []netip.Addr
	search  []string
}

// add appends what is not there yet.
func (n *nameService) add(servers []netip.Addr, search []string) {
	for _, server := range servers {
		if !slices.Contains(n.servers, server) {
			n.servers = append(n.servers, server)
		}
	}
	for _, domain := range search {
		if domain = strings.TrimSuffix(domain, "."); domain != "" && !slices.Contains(n.search, domain) {
			n.search = append(n.search, domain)
		}
	}
}

func (n *nameService) empty() bool { return len(n.servers) == 0 && len(n.search) == 0 }

// file is the text of resolv.conf(5).
func (n *nameService) file() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, resolverMark)
	if len(n.search) > 0 {
		fmt.Fprintln(&b, "search", strings.Join(n.search, " "))
	}
	for _, server := range n.servers[:min(len(n.servers), maxServers)] {
		fmt.Fprintln(&b, "nameserver", server)
	}
	return b.Bytes()
}

// writeResolver replaces the file at path unless it says the same already. The
// first time, what somebody else wrote is kept in the state folder. A link into
// a manager's folder is left alone (ErrManaged); any other is followed, so that
// /etc/resolv.conf can point to a file that an unprivileged daemon may replace.
func writeResolver(path, stateDir string, n nameService) error {
	if manager := managerOfLink(path); manager != "" {
		return fmt.Errorf("%s is %s's: %w", path, manager, ErrManaged)
	}
	target, err := linkTarget(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	old, err := os.ReadFile(target)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if n.empty() && !parseResolver(old).Ours {
		return nil // nothing to say, and nothing of ours to take back
	}
	text := n.file()
	if bytes.Equal(old, text) {
		return nil
	}
	if !missing && !parseResolver(old).Ours {
		if err := backUp(stateDir, old); err != nil {
			return fmt.Errorf("keeping the original of %s: %w", path, err)
		}
	}
	if err := replaceFile(target, text); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
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

// RestoreResolver puts back the resolver file that was there before ours, as an
// uninstallation should. A file that is not ours any more is left alone.
func RestoreResolver(path, stateDir string) error {
	target, err := linkTarget(path)
	if err != nil {
		return fmt.Errorf("restoring %s: %w", path, err)
	}
	now, err := os.ReadFile(target)
	if err != nil || !parseResolver(now).Ours {
		return nil
	}
	backup := filepath.Join(stateDir, backupName)
	original, err := os.ReadFile(backup)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.Remove(target)
	case err == nil:
		err = replaceFile(target, original)
	}
	if err != nil {
		return fmt.Errorf("restoring %s: %w", path, err)
	}
	if err := os.Remove(backup); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restoring %s: %w", path, err)
	}
	return nil
}
