package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"server22.local/appliance/internal/health"
)

// issueName is the file that the console shows above its login (issue(5)), by
// a link from /run/issue.d.
const issueName = "issue"

// followIssue keeps the console's text: name, addresses, what is wrong, the
// claim code, a QR code. It is only written where the runtime folder is one,
// in memory, and not the state folder.
func (a *App) followIssue(ctx context.Context) error {
	dir := a.cfg().RuntimeDir()
	if dir == a.cfg().State {
		<-ctx.Done()
		return nil
	}
	path := filepath.Join(dir, issueName)
	defer os.Remove(path)
	var written string
	for {
		moved, changed, claimed := a.moves(), a.health.Changed(), a.account.Changed()
		if text := a.issue(); text != written {
			if err := writeIssue(path, text); err != nil {
				return err
			}
			written = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-moved:
		case <-changed:
		case <-claimed:
		}
	}
}

func writeIssue(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing the console's text: %w", err)
	}
	if err := renameio.WriteFile(path, []byte(text), 0o644, renameio.WithStaticPermissions(0o644)); err != nil {
		return fmt.Errorf("writing the console's text: %w", err)
	}
	return nil
}

// issue is the text; agetty gives a backslash a meaning of its own.
func (a *App) issue() string {
	var b strings.Builder
	s := a.site.Load()
	greet(&b, a.opts.Version, a.status(nil).Name, s.urls(), a.account.Code())
	for _, c := range a.health.Conditions() {
		if c.Severity != health.Info {
			fmt.Fprintf(&b, "%s: %s\n", c.Severity, c.Text)
		}
	}
	if addrs := s.addressURLs(); len(addrs) > 0 {
		if code, err := QRText(addrs[0]); err == nil {
			b.WriteString(code)
		}
	}
	return strings.ReplaceAll(b.String(), `\`, `\\`) + "\n"
}
