package netcfg

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"

	"github.com/google/renameio/v2"
)

// state is what must survive a crash so that nothing of ours is left behind.
type state struct {
	Link string `json:"link,omitempty"`
	// Addrs are the addresses that we have put on the link. Only kernels before
	// 5.18, which keep no protocol of addresses, need to be told by this.
	Addrs []netip.Prefix `json:"addresses,omitempty"`
	// MTU is what the link had before we changed it, 0 if we did not.
	MTU int `json:"mtu,omitempty"`
	// LinkLocal is the address of RFC 3927 that was free the last time.
	LinkLocal netip.Addr `json:"link_local,omitzero"`
}

// stateFile keeps the state in a file, "" for nowhere. Writing what it holds
// already writes nothing.
type stateFile struct {
	path string
	last state
}

func openState(dir string) (*stateFile, error) {
	if dir == "" {
		return &stateFile{}, nil
	}
	f := &stateFile{path: filepath.Join(dir, "state.json")}
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &f.last)
	}
	if err != nil { // the kernel's marks tell the rest
		f.last = state{}
		return f, fmt.Errorf("reading the state of the network: %w", err)
	}
	return f, nil
}

func (f *stateFile) save(s state) error {
	if reflect.DeepEqual(s, f.last) {
		return nil
	}
	f.last = s
	if f.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("keeping the state of the network: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return fmt.Errorf("keeping the state of the network: %w", err)
	}
	if err := replaceFile(f.path, append(data, '\n')); err != nil {
		return fmt.Errorf("keeping the state of the network: %w", err)
	}
	return nil
}

// replaceFile writes a file so that a reader, also one after a power cut, sees
// the old content or the new. The temporary file is in the same folder; its name
// is not in the error, which is thus the same each time.
func replaceFile(path string, data []byte) error {
	err := renameio.WriteFile(path, data, 0o644, renameio.WithTempDir(filepath.Dir(path)))
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: link.Op, Path: path, Err: link.Err}
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: file.Op, Path: path, Err: file.Err}
	}
	return err
}
