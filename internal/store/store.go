package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"server22.local/appliance/realtime/history"
)

// Config says where and how much to keep.
type Config struct {
	// Path is the database file. Its folder must exist.
	Path string
	// MaxSize bounds the bytes that the database takes on the disk, with its
	// write-ahead log. 0 means 256 MiB; less than 8 MiB is taken as 8 MiB.
	MaxSize int64
	// Logs are the logs that the store has, by name.
	Logs map[string]LogConfig
	// LazyAfter and LazyEvery say when a lazy value is written: so long after it
	// changed, and not sooner than so long after the last lazy write. 0 means 2 s
	// and 30 s.
	LazyAfter, LazyEvery time.Duration
	// MaxWaiting bounds the bytes that wait to be written. 0 means 16 MiB.
	MaxWaiting int64
	// OnFault is told when the store could not write, and with nil when it can
	// again. It must not block.
	OnFault func(error)
	Logger  *slog.Logger
}

// LogConfig says what one log keeps.
type LogConfig struct {
	Retention history.Retention
	// Share weighs the log against others when MaxSize is reached; 0 means 1.
	Share int
	// Text returns what a search finds a message by; nil: it is not searched.
	Text func(history.Message) string
}

const (
	defaultMaxSize    = 256 << 20
	leastMaxSize      = 8 << 20
	defaultMaxWaiting = 16 << 20
	defaultLazyAfter  = 2 * time.Second
	defaultLazyEvery  = 30 * time.Second
)

func (c Config) withDefaults() Config {
	if c.MaxSize == 0 {
		c.MaxSize = defaultMaxSize
	}
	c.MaxSize = max(c.MaxSize, leastMaxSize)
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultMaxWaiting
	}
	if c.LazyAfter == 0 {
		c.LazyAfter = defaultLazyAfter
	}
	if c.LazyEvery == 0 {
		c.LazyEvery = defaultLazyEvery
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnFault == nil {
		c.OnFault = func(error) {}
	}
	return c
}

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	cfg  Config
	logs map[string]*Log

	queue queue
	lazy  lazySet

	// gate is held for writing while the file is exchanged under the readers.
	gate  sync.RWMutex
	reads *sql.DB

	w *writer

	swaps   chan swap
	ready   chan struct{}
	ended   chan struct{}
	running atomic.Bool
	stats   counters
}

// Open opens the database and makes it, if it is not there. It checks a
// database that was not closed properly, brings an older one up to date after
// a backup, and puts a broken one aside, saving what can be read. Nothing is
// written before [Store.Run].
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg, logs: make(map[string]*Log)}
	s.swaps, s.ready, s.ended = make(chan swap), make(chan struct{}), make(chan struct{})
	s.queue.limit = cfg.MaxWaiting
	s.queue.wake = make(chan struct{}, 1)
	s.lazy.wake = make(chan struct{}, 1)
	for name, lc := range cfg.Logs {
		s.logs[name] = newLog(s, name, lc)
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", cfg.Path, err)
	}
	return s, nil
}

// open opens the file for the writer and for the readers.
func (s *Store) open(ctx context.Context) error {
	if err := prepare(ctx, s.cfg); err != nil {
		return err
	}
	w, err := newWriter(ctx, s)
	if err != nil {
		return err
	}
	reads, err := openReads(s.cfg.Path)
	if err != nil {
		return errors.Join(err, w.close())
	}
	s.w, s.reads = w, reads
	return syncFolder(filepath.Dir(s.cfg.Path))
}

// Log returns the log of that name; it panics if the configuration has none.
func (s *Store) Log(name string) *Log {
	l := s.logs[name]
	if l == nil {
		panic("store: no log is called " + name)
	}
	return l
}

// Ready is closed when Run has begun.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// String names the task.
func (s *Store) String() string { return "store" }

// Close closes a store that Run was never called for.
func (s *Store) Close() error {
	s.queue.close()
	return s.close()
}

func (s *Store) close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	return errors.Join(s.reads.Close(), s.w.close())
}

// Stats is what the store has done since it was opened.
type Stats struct {
	Commits  int64 // transactions made durable
	Stored   int64 // messages appended
	Refused  int64 // messages not stored
	Bytes    int64 // on the disk now, with the write-ahead log
	MaxBytes int64 // that it may take
	Waiting  int64 // bytes that wait to be written
}

type counters struct{ commits, stored, refused atomic.Int64 }

// Stats returns the counters.
func (s *Store) Stats() Stats {
	return Stats{
		Commits:  s.stats.commits.Load(),
		Stored:   s.stats.stored.Load(),
		Refused:  s.stats.refused.Load(),
		Bytes:    onDisk(s.cfg.Path),
		MaxBytes: s.cfg.MaxSize,
		Waiting:  s.queue.waiting(),
	}
}

// onDisk returns the bytes of the database and its companions.
func onDisk(path string) int64 {
	var n int64
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if fi, err := os.Stat(name); err == nil {
			n += fi.Size()
		}
	}
	return n
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
