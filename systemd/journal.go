package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// StderrIsJournal reports whether standard error ends in the journal, so that
// records can go there with their fields instead of as text.
func StderrIsJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// JournalHandler writes records to the journal: the message with its
// attributes as text, and each attribute once more as a field of its own
// (iface becomes IFACE), so that `journalctl IFACE=eth0` finds them. What the
// journal has its own meaning for gets the prefix ATTR_. Safe for concurrent
// use.
type JournalHandler struct {
	level  slog.Leveler
	attrs  []field
	prefix string
	name   string // of the program: journalctl -t
	send   func(message string, priority journal.Priority, fields map[string]string) error
}

type field struct{ key, value string }

// NewJournalHandler returns a handler for records of at least that level.
func NewJournalHandler(level slog.Leveler) *JournalHandler {
	return &JournalHandler{level: level, name: filepath.Base(os.Args[0]), send: journal.Send}
}

// Enabled is slog.Handler's.
func (h *JournalHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// Handle is slog.Handler's.
func (h *JournalHandler) Handle(_ context.Context, r slog.Record) error {
	fields := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fields = appendAttr(fields, h.prefix, a)
		return true
	})
	vars := make(map[string]string, len(fields)+4)
	var message strings.Builder
	message.WriteString(r.Message)
	for _, f := range fields {
		vars[fieldName(f.key)] = f.value
		message.WriteString(" " + f.key + "=" + quoted(f.value))
	}
	if r.PC != 0 {
		frame, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
		vars["CODE_FILE"], vars["CODE_LINE"], vars["CODE_FUNC"] = frame.File, strconv.Itoa(frame.Line), frame.Function
	}
	vars["SYSLOG_IDENTIFIER"] = h.name
	if err := h.send(message.String(), priority(r.Level), vars); err != nil {
		return fmt.Errorf("writing to the journal: %w", err)
	}
	return nil
}

// WithAttrs is slog.Handler's.
func (h *JournalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		next.attrs = appendAttr(next.attrs, h.prefix, a)
	}
	return &next
}

// WithGroup is slog.Handler's.
func (h *JournalHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.prefix = h.prefix + name + "."
	return &next
}

func appendAttr(fields []field, prefix string, a slog.Attr) []field {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			fields = appendAttr(fields, prefix, member)
		}
		return fields
	}
	if a.Equal(slog.Attr{}) {
		return fields
	}
	return append(fields, field{prefix + a.Key, value.String()})
}

// maxFieldName is the longest name of a field that the journal keeps.
const maxFieldName = 64

// meant are the fields to which journald(7) gives a meaning, and that a record
// may set. A second MESSAGE or PRIORITY would make of one entry two.
var meant = regexp.MustCompile(`^(MESSAGE(_ID)?|PRIORITY|ERRNO|INVOCATION_ID|DOCUMENTATION|TID|(USER_)?UNIT|CODE_.*|SYSLOG_.*|OBJECT_.*|COREDUMP_.*)$`)

// fieldName keeps what the journal allows: capitals, digits and underscores,
// beginning with a capital.
func fieldName(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, key)
	name = strings.TrimLeft(name, "_0123456789")
	switch {
	case name == "":
		name = "ATTR"
	case meant.MatchString(name):
		name = "ATTR_" + name
	}
	return name[:min(len(name), maxFieldName)]
}

func quoted(value string) string {
	if value == "" || strings.ContainsAny(value, " \t\n\"=") {
		return strconv.Quote(value)
	}
	return value
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	default:
		return journal.PriDebug
	}
}
