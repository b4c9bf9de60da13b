package recovery

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// File is a Log that outlives the process: a Memory whose packets and sessions
// are also appended to a file, so that clients recover after a restart or a
// crash.
//
// Writes gather for SyncEvery and are then made durable together, off the path
// of the traffic: what a power cut takes is at most that long ago, and clients
// that were ahead of it begin anew. The file is written anew, without what is
// no longer kept, when it has grown to twice what it was; and after a fault of
// the disk.
type File struct {
	*Memory
	path string

	wake    chan struct{}
	stop    chan struct{}
	stopped sync.WaitGroup
	close   func() error // ends it, once

	flushing sync.Mutex // held while the disk is waited for; taken before fileMu
	fileMu   sync.Mutex // guards all following; taken before Memory's
	file     *os.File
	queue    [][]byte           // lines to be written
	live     map[string]Session // of sockets that are connected
	size     int64              // of the file
	whole    int64              // what it was when it was last written anew
	failed   error
	closed   bool // nothing is written any more
}

// SyncEvery is how long writes gather before they are made durable.
const SyncEvery = 500 * time.Millisecond

// minRewrite keeps small files from being rewritten all the time.
const minRewrite = 1 << 20

// OpenFile opens the log in a file, or begins one. It starts a goroutine that
// Close ends. A record cut off by a crash at the end of the file is dropped.
func OpenFile(path string, l Limits) (*File, error) {
	f := &File{
		Memory: NewMemory(l), path: path, live: make(map[string]Session),
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	f.close = sync.OnceValue(f.end)
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("reading recovery log: %w", err)
	}
	if err := f.rewrite(); err != nil {
		return nil, fmt.Errorf("writing recovery log: %w", err)
	}
	f.stopped.Go(f.run)
	return f, nil
}

// Live implements Log: a crash leaves no time to save the sessions.
func (f *File) Live() bool { return true }

// Append implements Log.
func (f *File) Append(e Entry) (string, error) {
	f.fileMu.Lock()
	defer f.fileMu.Unlock()
	offset, err := f.Memory.Append(e)
	if err != nil {
		return "", err
	}
	e.Offset, e.Time = offset, time.Now()
	f.put(record{Packet: saved(&e)})
	return offset, nil
}

// SaveSession implements Log.
func (f *File) SaveSession(s Session) error {
	f.fileMu.Lock()
	defer f.fileMu.Unlock()
	f.put(record{Session: &s})
	if s.Ended.IsZero() {
		f.live[s.PID] = s // while it is connected, it cannot be taken
		return f.failed
	}
	delete(f.live, s.PID)
	return errors.Join(f.failed, f.Memory.SaveSession(s))
}

// TakeSession implements Log.
func (f *File) TakeSession(pid string) (Session, bool) {
	f.fileMu.Lock()
	defer f.fileMu.Unlock()
	_, live := f.live[pid]
	delete(f.live, pid)
	s, ok := f.Memory.TakeSession(pid)
	if live || ok { // strangers may name what they like, and it costs no write
		f.put(record{Taken: pid})
	}
	return s, ok
}

// put queues a record; fileMu is held.
func (f *File) put(r record) {
	if f.closed {
		return
	}
	text, err := json.Marshal(r)
	if err != nil {
		f.failed = err
		return
	}
	f.queue = append(f.queue, append(text, '\n'))
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run makes durable what gathers.
func (f *File) run() {
	for {
		select {
		case <-f.wake:
		case <-f.stop:
			return
		}
		gather := time.NewTimer(SyncEvery)
		select {
		case <-gather.C:
		case <-f.stop:
			gather.Stop()
			return
		}
		f.flush()
	}
}

// flush writes what is queued. fileMu is not held while the disk is waited
// for, so the traffic goes on, but for the moment of a rewrite.
func (f *File) flush() {
	f.flushing.Lock()
	defer f.flushing.Unlock()
	f.fileMu.Lock()
	if f.failed != nil {
		// The last record may be torn, and what follows it would be lost.
		f.queue, f.failed = nil, f.rewrite()
		f.fileMu.Unlock()
		return
	}
	queue, file := f.queue, f.file
	f.queue = nil
	f.fileMu.Unlock()

	var written int64
	w := bufio.NewWriter(file)
	for _, text := range queue {
		n, _ := w.Write(text) // reported by Flush
		written += int64(n)
	}
	err := errors.Join(w.Flush(), file.Sync())

	f.fileMu.Lock()
	defer f.fileMu.Unlock()
	f.failed = err
	f.size += written
	if f.size > minRewrite && f.size > 2*f.whole {
		f.failed = errors.Join(f.failed, f.rewrite())
	}
}

// rewrite replaces the file by one with what is kept, all or nothing. fileMu is
// held, or nobody else knows of f yet. Records in the queue follow.
func (f *File) rewrite() error {
	temp, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // does nothing once it has been renamed
	size, err := f.dump(temp)
	if err == nil {
		err = temp.Sync()
	}
	if err == nil {
		err = os.Rename(temp.Name(), f.path)
	}
	if err != nil {
		temp.Close()
		return err
	}
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.size, f.whole = temp, size, size
	return syncFolder(filepath.Dir(f.path))
}

// dump writes all that is kept.
func (f *File) dump(to io.Writer) (size int64, err error) {
	m := f.Memory
	m.mu.Lock()
	defer m.mu.Unlock()
	counter := &countingWriter{to: bufio.NewWriter(to)}
	enc := json.NewEncoder(counter)
	records := []record{{Before: m.before}}
	for i := range m.entries {
		records = append(records, record{Packet: saved(&m.entries[i])})
	}
	for e := m.order.Front(); e != nil; e = e.Next() {
		s := e.Value.(Session)
		records = append(records, record{Session: &s})
	}
	for _, s := range f.live {
		records = append(records, record{Session: &s})
	}
	for _, r := range records {
		if err := enc.Encode(r); err != nil {
			return 0, err
		}
	}
	return counter.n, counter.to.Flush()
}

type countingWriter struct {
	to *bufio.Writer
	n  int64
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	w.n += int64(n)
	return n, err
}

// syncFolder makes a rename durable.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Close makes durable what is left and closes the file. Nothing is kept after
// it, and a second call returns what the first one did.
func (f *File) Close() error { return f.close() }

func (f *File) end() error {
	close(f.stop)
	f.stopped.Wait()
	f.flush()
	f.fileMu.Lock()
	defer f.fileMu.Unlock()
	f.closed = true
	return errors.Join(f.failed, f.file.Close())
}
