package netcfg

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// watchFile calls changed when the file at path (or the file that it links to)
// is written, replaced or removed, until ctx ends. The folders are watched, not
// the file, since writers that care replace it. Where inotify cannot be had the
// function just returns: the file is read with every dump anyway.
func watchFile(ctx context.Context, path string, changed func()) {
	if path == "" {
		return
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer context.AfterFunc(ctx, func() { _ = events.Close() })()

	names := map[string]bool{}
	for _, file := range linkedFiles(path) {
		names[filepath.Base(file)] = true
		const writes = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CREATE | unix.IN_DELETE
		_, _ = unix.InotifyAddWatch(fd, filepath.Dir(file), writes)
	}
	buffer := make([]byte, 16*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	for {
		n, err := events.Read(buffer)
		if err != nil {
			_ = events.Close()
			return
		}
		if mentions(buffer[:n], names) {
			changed()
		}
	}
}

// linkedFiles is path and, if that is a symbolic link, what it points at.
func linkedFiles(path string) []string {
	files := []string{path}
	if target, err := os.Readlink(path); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		files = append(files, target)
	}
	return files
}

// mentions says whether one of the events of inotify(7) is about a file of one
// of the names.
func mentions(events []byte, names map[string]bool) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		size := int(binary.NativeEndian.Uint32(events[12:])) // struct inotify_event.len
		events = events[unix.SizeofInotifyEvent:]
		if size > len(events) {
			return false
		}
		name, _, _ := bytes.Cut(events[:size], []byte{0})
		if names[string(name)] {
			return true
		}
		events = events[size:]
	}
	return false
}
