package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// A Store remembers which name was won in place of a configured one (RFC 6762
// §9: a host should try that one first after a restart). Names are complete:
// "server22.local.", "My Web._http._tcp.local.". Its methods are called from
// one goroutine, between packets, so they should not take long.
type Store interface {
	// Load returns the name that was won for wanted, or "".
	Load(wanted string) (string, error)
	// Save remembers won for wanted; if they are equal, nothing has to be
	// remembered.
	Save(wanted, won string) error
}

// forgetful is the Store of those who have none.
type forgetful struct{}

func (forgetful) Load(string) (string, error) { return "", nil }
func (forgetful) Save(string, string) error   { return nil }

// A FileStore is a [Store] in a JSON file, which is replaced as a whole. The
// file exists only while a name differs from the configured one. Its methods
// may be called concurrently.
type FileStore struct {
	path string

	mu sync.Mutex // guards the file
}

// NewFileStore returns a store in the file at path. Its folder must exist when
// the first name is saved.
func NewFileStore(path string) *FileStore { return &FileStore{path: path} }

// Load implements [Store].
func (s *FileStore) Load(wanted string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, err := s.read()
	return names[wanted], err
}

// Save implements [Store].
func (s *FileStore) Save(wanted, won string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, err := s.read()
	if err != nil {
		names = nil // a damaged file is better replaced than kept
	}
	if names[wanted] == won || wanted == won && names[wanted] == "" {
		return nil
	}
	if names == nil {
		names = make(map[string]string)
	}
	names[wanted] = won
	if wanted == won {
		delete(names, wanted)
	}
	if err := s.write(names); err != nil {
		return fmt.Errorf("remembering the name %s: %w", won, err)
	}
	return nil
}

func (s *FileStore) read() (map[string]string, error) {
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the names that were won: %w", err)
	}
	var names map[string]string
	if err := json.Unmarshal(b, &names); err != nil {
		return nil, fmt.Errorf("reading the names that were won from %s: %w", s.path, err)
	}
	return names, nil
}

func (s *FileStore) write(names map[string]string) error {
	if len(names) == 0 {
		err := os.Remove(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	b, err := json.MarshalIndent(names, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), ".names-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path)
}
