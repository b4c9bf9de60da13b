// Package health is the one registry of what is wrong right now. Parts set
// and clear conditions; the status API, `appliance status` and `doctor`,
// /readyz, the pages' banner, the log and systemd's STATUS= all show the same
// list.
package health

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Severity says how bad a condition is.
type Severity string

// The severities, from good to know to not serving.
const (
	Info    Severity = "info"    // worth knowing
	Warning Severity = "warning" // works, but not as asked
	Error   Severity = "error"   // a part does not work: not ready
)

// rank orders severities, the worst first.
var rank = map[Severity]int{Error: 0, Warning: 1, Info: 2}

// Condition is one thing that is not as it should be.
type Condition struct {
	ID       string    `json:"id"`   // stays the same while it lasts, as name-conflict
	Code     Code      `json:"code"` // of its kind, as NAM-01
	Severity Severity  `json:"severity"`
	Text     string    `json:"text"`           // a sentence without a full stop
	Hint     string    `json:"hint,omitempty"` // one step that helps
	Since    time.Time `json:"since"`
}

// Registry holds the conditions. The zero value is not usable; see New. Safe
// for concurrent use.
type Registry struct {
	log *slog.Logger

	mu         sync.Mutex // guards all following fields
	conditions map[string]Condition
	changed    chan struct{} // closed at the next change
}

// New returns an empty registry. Each change is one line in the log.
func New(log *slog.Logger) *Registry {
	return &Registry{log: log, conditions: map[string]Condition{}, changed: make(chan struct{})}
}

// Set records a condition, or its new text. Since is kept for as long as a
// condition of that ID lasts.
func (r *Registry) Set(c Condition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.conditions[c.ID]
	c.Since = old.Since
	if known && c == old {
		return
	}
	if !known {
		c.Since = time.Now()
	}
	r.conditions[c.ID] = c
	r.announce()
	logAt(r.log, c.Severity)(c.Text, "code", c.Code, "condition", c.ID, "hint", c.Hint)
}

// Clear removes a condition, if it is there.
func (r *Registry) Clear(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, known := r.conditions[id]
	if !known {
		return
	}
	delete(r.conditions, id)
	r.announce()
	r.log.Info("over: "+c.Text, "code", c.Code, "condition", id, "lasted", time.Since(c.Since).Round(time.Second))
}

func (r *Registry) announce() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Conditions returns what is wrong, the worst and oldest first.
func (r *Registry) Conditions() []Condition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.conditions), func(a, b Condition) int {
		if d := rank[a.Severity] - rank[b.Severity]; d != 0 {
			return d
		}
		if d := a.Since.Compare(b.Since); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// Changed returns a channel that is closed at the next change. Ask for it
// before looking at the conditions, so that none is missed.
func (r *Registry) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Worst is the severity of the worst condition, "" when all is well.
func Worst(conditions []Condition) Severity {
	if len(conditions) == 0 {
		return ""
	}
	return conditions[0].Severity
}

// Summary is one line: what systemctl shows beside the service.
func Summary(conditions []Condition) string {
	if Worst(conditions) == "" || Worst(conditions) == Info {
		return "serving"
	}
	line := conditions[0].Text
	if more := len(conditions) - 1; more > 0 {
		line += fmt.Sprintf(" (and %d more)", more)
	}
	return line
}

func logAt(log *slog.Logger, s Severity) func(string, ...any) {
	switch s {
	case Error:
		return log.Error
	case Warning:
		return log.Warn
	default:
		return log.Info
	}
}
