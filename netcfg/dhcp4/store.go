package dhcp4

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// Store keeps a lease over restarts.
type Store interface {
	// Load returns the lease that was saved, possibly expired, and nil if there
	// is none.
	Load() (*Lease, error)
	Save(*Lease) error
	Forget() error
}

// FileStore keeps the lease in a file of this path, which is replaced
// atomically.
type FileStore string

// saved is the file's content. The clock of a machine without a battery may
// stand before the lease began when it boots: what remained when the file was
// written is then the better measure.
type saved struct {
	Lease     Lease         `json:"lease"`
	SavedAt   time.Time     `json:"saved_at"`
	Remaining time.Duration `json:"remaining"`
}

// Load implements [Store]. Obtained is set so that the lease ends when it
// should, as far as the clock can be believed.
func (f FileStore) Load() (*Lease, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading the lease: %w", err)
	}
	var file saved
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("loading the lease: %s: %w", f, err)
	}
	lease := file.Lease
	if !lease.Prefix.Addr().Is4() || !isHost(lease.Prefix.Addr()) || !lease.Server.Is4() || lease.Duration <= 0 {
		return nil, fmt.Errorf("loading the lease: %s has no sensible lease", f)
	}
	if lease.Duration != Forever {
		elapsed := max(0, time.Since(file.SavedAt.Round(0)))
		lease.Obtained = time.Now().Add(file.Remaining - elapsed - lease.Duration)
	}
	return &lease, nil
}

// Save implements [Store].
func (f FileStore) Save(lease *Lease) error {
	file := saved{Lease: *lease, SavedAt: time.Now(), Remaining: Forever}
	if lease.Duration != Forever {
		file.Remaining = time.Until(lease.Expires())
	}
	data, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the lease: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o755); err != nil {
		return fmt.Errorf("saving the lease: %w", err)
	}
	if err := renameio.WriteFile(string(f), append(data, '\n'), 0o644, renameio.WithTempDir(filepath.Dir(string(f)))); err != nil {
		return fmt.Errorf("saving the lease: %w", err)
	}
	return nil
}

// Forget implements [Store].
func (f FileStore) Forget() error {
	if err := os.Remove(string(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting the lease: %w", err)
	}
	return nil
}
