package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// stateDir is the folder of everything that must survive, held by a lock for
// as long as the process lives.
type stateDir struct {
	path string
	lock *os.File
}

// openState makes the folder if need be, takes its lock, and proves that it
// can be written: better to refuse the start than the first message.
func openState(path string) (*stateDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, stateFault(path, err)
	}
	lock, err := takeLock(filepath.Join(path, "lock"))
	if err != nil {
		return nil, stateFault(path, err)
	}
	if err := probe(path); err != nil {
		lock.Close()
		return nil, stateFault(path, err)
	}
	return &stateDir{path, lock}, nil
}

// Close gives up the lock. The file stays: removing it would let two
// processes hold two locks.
func (s *stateDir) Close() error { return s.lock.Close() }

var errLocked = errors.New("locked")

// takeLock opens and locks the file, and writes our process number into it
// for whoever comes next.
func takeLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w by process %s", errLocked, holder(file))
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := errors.Join(file.Truncate(0), writePID(file)); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func writePID(file *os.File) error {
	_, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

func holder(file *os.File) string {
	buf := make([]byte, 20)
	n, _ := file.ReadAt(buf, 0) // what cannot be read is shown as unknown
	if pid := strings.TrimSpace(string(buf[:n])); pid != "" {
		return pid
	}
	return "?"
}

// probeSize is about what a start needs: the database's first pages.
const probeSize = 64 << 10

// probe writes a file and removes it.
func probe(dir string) error {
	file, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(make([]byte, probeSize))
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func stateFault(path string, err error) error {
	fault := &Fault{Err: fmt.Errorf("cannot use the state folder %s: %w", path, pathless(err))}
	switch {
	case errors.Is(err, errLocked):
		fault.Err = fmt.Errorf("the state folder %s is %w: another appliance is running", path, err)
		fault.Advice = "stop it, or give this one a folder of its own with --state DIR"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		fault.Advice = "give this user the right to write there, or choose another folder with --state DIR"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		fault.Advice = fmt.Sprintf("make room: 'df -h %s' shows how full it is", path)
	case errors.Is(err, syscall.ENOTDIR):
		fault.Advice = "a part of the path is a file; choose another folder with --state DIR"
	default:
		fault.Advice = "choose another folder with --state DIR"
	}
	return fault
}

// pathless removes the path, which is told already.
func pathless(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
