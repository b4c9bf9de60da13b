// Package blackbox keeps the last life-cycle events of a device over restarts
// and power cuts: boots, unclean ends, what was wrong and when. It is what a
// technician reads after the fact; journald on a card keeps nothing.
//
// The box is two files of at most half its size each, a JSON object a line.
// When the newer is full, the older is begun anew: the box is bounded, and a
// write never rewrites what is there. Events wait in memory for a while and
// are written together, so that a flapping cable does not wear the card out;
// those that must not be lost (a start, an end) are written at once.
package blackbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Size is the most that a box takes on disk, in bytes.
const Size = 256 << 10

// linger is how long an ordinary event may wait for company.
const linger = 30 * time.Second

// maxCrashes is how many starts that no stop follows are news. What crashes
// forever would fill the box with its starts, and push out what led to it.
const maxCrashes = 20

// maxPending bounds the events that wait, in bytes: what a storm brings beyond
// that is counted, not kept.
const maxPending = 32 << 10

// The kinds of events that the box itself knows.
const (
	KindStart   = "start"   // the daemon started
	KindStop    = "stop"    // it ended as it should
	KindUnclean = "unclean" // found at a start: the run before did not end as it should
	KindDropped = "dropped" // a storm: this many events were left out
)

// Event is one line of the box.
type Event struct {
	Time time.Time         `json:"time"`
	Boot string            `json:"boot"` // the kernel's boot id: a change of it is a reboot
	Kind string            `json:"kind"`
	Text string            `json:"text,omitempty"`
	More map[string]string `json:"more,omitempty"`
}

// Box is open for writing. Safe for concurrent use.
type Box struct {
	dir     string
	boot    string
	log     *slog.Logger
	crashes int // starts of this boot in a row, so far, that no stop followed

	mu      sync.Mutex // guards all following fields
	file    *os.File
	size    int64
	newer   int // which of the two files
	pending bytes.Buffer
	dropped int
	wake    chan struct{}
}

// Open opens the box in a folder, made if need be. It records an unclean end
// of the run before, if that left no stop.
func Open(dir string, log *slog.Logger) (*Box, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the black box: %w", err)
	}
	b := &Box{dir: dir, boot: bootID(), log: log, wake: make(chan struct{}, 1)}
	events, err := Read(dir)
	if err != nil {
		return nil, err
	}
	b.crashes = b.crashesInARow(events)
	if err := b.openNewer(); err != nil {
		return nil, err
	}
	if last := lastRun(events); last != nil && last.Kind != KindStop {
		b.Record(KindUnclean, b.uncleanText(last), map[string]string{"last": last.Time.UTC().Format(time.RFC3339)})
	}
	return b, nil
}

// uncleanText tells a crash of the daemon from a loss of power.
func (b *Box) uncleanText(last *Event) string {
	if last.Boot == b.boot {
		return "the daemon ended without a stop: it crashed, hung or was killed"
	}
	return "the device lost its power, or was reset"
}

// lastRun is the last event that says how a run stands.
func lastRun(events []Event) *Event {
	for i := len(events) - 1; i >= 0; i-- {
		if k := events[i].Kind; k == KindStart || k == KindStop {
			return &events[i]
		}
	}
	return nil
}

func (b *Box) crashesInARow(events []Event) (n int) {
	for _, e := range slices.Backward(events) {
		switch {
		case e.Kind == KindStop, e.Boot != b.boot:
			return n
		case e.Kind == KindStart:
			n++
		}
	}
	return n
}

// Record keeps an event. It never blocks on the disk, except for a start and
// a stop, which are durable when it returns; after many crashes in a row a
// start waits like any other event, and is kept if the run lasts.
func (b *Box) Record(kind, text string, more map[string]string) {
	line, err := json.Marshal(Event{Time: time.Now(), Boot: b.boot, Kind: kind, Text: text, More: more})
	if err != nil {
		b.log.Error("black box: an event that is no JSON", "kind", kind, "err", err)
		return
	}
	urgent := kind == KindStop || kind == KindStart && b.crashes < maxCrashes
	b.mu.Lock()
	defer b.mu.Unlock()
	if !urgent && b.pending.Len()+len(line) > maxPending {
		b.dropped++
		return
	}
	b.pending.Write(append(line, '\n'))
	if urgent {
		b.flush()
		return
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Run writes what was recorded, a while after it was. At the end of the
// context it writes the rest and closes the box.
func (b *Box) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return b.close()
		case <-b.wake:
		}
		select {
		case <-ctx.Done():
			return b.close()
		case <-time.After(linger):
		}
		b.mu.Lock()
		b.flush()
		b.mu.Unlock()
	}
}

func (b *Box) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
	return b.file.Close()
}

// flush makes the pending events durable. A disk that does not take them is
// logged; the box is a witness, not a reason to stop. The caller holds b.mu.
func (b *Box) flush() {
	if b.dropped > 0 {
		line, _ := json.Marshal(Event{Time: time.Now(), Boot: b.boot, Kind: KindDropped, Text: fmt.Sprintf("%d events in a short time were left out", b.dropped)})
		b.pending.Write(append(line, '\n'))
		b.dropped = 0
	}
	if b.pending.Len() == 0 {
		return
	}
	if err := b.write(b.pending.Bytes()); err != nil {
		b.log.Warn("black box: events were not kept", "err", err)
	}
	b.pending.Reset()
}

func (b *Box) write(lines []byte) error {
	if b.size+int64(len(lines)) > Size/2 {
		if err := b.turnOver(); err != nil {
			return err
		}
	}
	n, err := b.file.Write(lines)
	b.size += int64(n)
	return errors.Join(err, b.file.Sync())
}

// turnOver begins the older file anew.
func (b *Box) turnOver() error {
	next := 1 - b.newer
	file, err := os.OpenFile(b.path(next), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	b.file.Close()
	b.file, b.newer, b.size = file, next, 0
	return nil
}

// openNewer opens the file that was written to last.
func (b *Box) openNewer() error {
	var times [2]time.Time
	for i := range times {
		if info, err := os.Stat(b.path(i)); err == nil {
			times[i] = info.ModTime()
		}
	}
	if times[1].After(times[0]) {
		b.newer = 1
	}
	file, err := os.OpenFile(b.path(b.newer), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the black box: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return fmt.Errorf("opening the black box: %w", err)
	}
	b.file, b.size = file, info.Size()
	return b.endLine()
}

// endLine closes a line that a power cut left open, so that the next event
// stands on one of its own.
func (b *Box) endLine() error {
	if b.size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := b.file.ReadAt(last, b.size-1); err != nil {
		return fmt.Errorf("opening the black box: %w", err)
	}
	if last[0] == '\n' {
		return nil
	}
	n, err := b.file.Write([]byte{'\n'})
	b.size += int64(n)
	return err
}

func (b *Box) path(i int) string { return path(b.dir, i) }

func path(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("blackbox.%d", i))
}

// Read returns the events of the box in a folder, the oldest first; none if
// there is no box. Lines that a power cut tore are left out.
func Read(dir string) ([]Event, error) {
	var runs [2][]Event
	for i := range runs {
		text, err := os.ReadFile(path(dir, i))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("reading the black box: %w", err)
		}
		for line := range bytes.Lines(text) {
			var e Event
			if json.Unmarshal(line, &e) == nil && e.Kind != "" {
				runs[i] = append(runs[i], e)
			}
		}
	}
	// Clocks jump on a device without one: the files are in order by the
	// time that their last write was made, not by what the events say.
	if older(dir) == 1 {
		runs[0], runs[1] = runs[1], runs[0]
	}
	return append(runs[0], runs[1]...), nil
}

func older(dir string) int {
	first, err0 := os.Stat(path(dir, 0))
	second, err1 := os.Stat(path(dir, 1))
	if err0 == nil && err1 == nil && second.ModTime().Before(first.ModTime()) {
		return 1
	}
	return 0
}

// bootID is the kernel's name for this boot; "" where it has none. A service
// that may not look into /proc is told by its unit, in BOOT_ID.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return os.Getenv("BOOT_ID")
	}
	return strings.ReplaceAll(string(bytes.TrimSpace(id)), "-", "") // as systemd writes it
}
