package update

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"aead.dev/minisign"
	"github.com/google/renameio/v2"
)

// MaxBundle is the most that a bundle may weigh, in bytes.
const MaxBundle = maxProgram

// ErrBusy is returned while another update is being applied.
var ErrBusy = errors.New("another update is being applied")

// Inbox takes bundles from the administrator's browser. The daemon, which
// receives them, may not replace its own program: it leaves them to the root
// helper, whose path unit watches the folder.
type Inbox struct {
	Dir     string // within the daemon's state folder
	Keys    []minisign.PublicKey
	Arch    string // runtime.GOARCH
	Running string // the version that runs
}

// request is the name that the root helper waits for.
const request = "request"

// Request is the file that waits to be applied.
func (in *Inbox) Request() string { return filepath.Join(in.Dir, request) }

// Waiting reports whether a bundle waits, or is being applied.
func (in *Inbox) Waiting() bool {
	_, err := os.Lstat(in.Request())
	return !errors.Is(err, fs.ErrNotExist)
}

// Receive reads a bundle, refuses what the root helper would, and leaves it to
// that.
func (in *Inbox) Receive(r io.Reader) (Manifest, error) {
	if in.Waiting() {
		return Manifest{}, ErrBusy
	}
	if err := os.MkdirAll(in.Dir, 0o700); err != nil {
		return Manifest{}, fmt.Errorf("making room for the bundle: %w", err)
	}
	file, err := renameio.NewPendingFile(in.Request(), renameio.WithPermissions(0o600))
	if err != nil {
		return Manifest{}, fmt.Errorf("making room for the bundle: %w", err)
	}
	defer file.Cleanup()
	m, err := in.check(io.TeeReader(r, file))
	if err != nil {
		return m, err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return m, fmt.Errorf("keeping the bundle: %w", err)
	}
	return m, nil
}

// check reads a bundle to its end.
func (in *Inbox) check(r io.Reader) (Manifest, error) {
	b, err := open(r, in.Keys)
	if err != nil {
		return Manifest{}, err
	}
	if !newer(b.Version, in.Running) {
		return b.Manifest, fmt.Errorf("%w (%s, %s runs)", ErrOlder, b.Version, in.Running)
	}
	program, body, err := b.find(in.Arch)
	if err != nil {
		return b.Manifest, err
	}
	if err := copyProgram(io.Discard, body, program); err != nil {
		return b.Manifest, err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return b.Manifest, fmt.Errorf("reading the bundle: %w", err)
	}
	return b.Manifest, nil
}
