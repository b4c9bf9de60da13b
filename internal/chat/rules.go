package chat

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Who may write in a room.
const (
	postingAll   = "all"
	postingAdmin = "admin"
	postingNone  = "none"
)

// rules are what the administrator decided about a room.
type rules struct {
	Posting string `json:"posting,omitempty"`
	// Kicked is until when somebody has to stay out (ms since 1970 UTC), by
	// identity and by name.
	Kicked map[string]int64 `json:"kicked,omitempty"`
}

func (r rules) posting() string {
	if r.Posting == "" {
		return postingAll
	}
	return r.Posting
}

// kicked returns until when one with these identities has to stay out.
func (r rules) kicked(now time.Time, who ...string) (time.Time, bool) {
	for _, id := range who {
		if until := r.Kicked[id]; until > now.UnixMilli() {
			return time.UnixMilli(until), true
		}
	}
	return time.Time{}, false
}

// posting is how a client says who may write: a word, or a yes or no.
type posting string

func (p *posting) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		*p = postingAll
		return nil
	case "false":
		*p = postingNone
		return nil
	}
	var word string
	if err := json.Unmarshal(b, &word); err != nil {
		return err
	}
	*p = posting(word)
	return nil
}

// Prefixes of the keys in State.
const (
	keyRules  = "rules/"
	keyDirect = "direct/"
)

// KeyHistory is the key in State of the name that the history has. Whoever
// puts another history in its place removes it: then it gets a new name, and
// clients forget what they hold of the one before.
const KeyHistory = "history"

// direct is a room of two.
type direct struct {
	Who  [2]string `json:"who"`  // identities
	Nick [2]string `json:"nick"` // their names when it began
}

// decisions are what State has.
type decisions struct {
	rules   map[string]rules  // by room, where there are any
	directs map[string]direct // by room
	history string            // the name of the history
}

// loadState reads what was decided.
func (c *Chat) loadState(ctx context.Context) (decisions, error) {
	d := decisions{rules: make(map[string]rules), directs: make(map[string]direct)}
	var values map[string][]byte
	if c.cfg.State != nil {
		var err error
		if values, err = c.cfg.State.All(ctx); err != nil {
			return d, err
		}
	}
	for key, text := range values {
		var err error
		if name, ok := strings.CutPrefix(key, keyRules); ok {
			err = decode(key, text, d.rules, name)
		} else if name, ok := strings.CutPrefix(key, keyDirect); ok {
			err = decode(key, text, d.directs, name)
		}
		if err != nil {
			c.cfg.Logger.Error("a decision about a room cannot be read", "err", err)
		}
	}
	if d.history = string(values[KeyHistory]); d.history == "" {
		d.history = rand.Text()
		c.keepHistory(d.history)
	}
	return d, nil
}

// keepHistory keeps the name of the history. If that cannot be done now, it
// gets another name at the next start, and clients load it once more.
func (c *Chat) keepHistory(name string) {
	if c.cfg.State == nil {
		return
	}
	c.cfg.State.Put(KeyHistory, []byte(name), func(err error) {
		if err != nil {
			c.cfg.Logger.Warn("the name of the history is not kept", "err", err)
		}
	})
}

func decode[T any](key string, text []byte, into map[string]T, name string) error {
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	into[name] = v
	return nil
}

// keep makes a decision durable, and then calls done.
func (c *Chat) keep(key string, value any, done func(error)) {
	if c.cfg.State == nil {
		done(nil)
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		done(err)
		return
	}
	c.cfg.State.Put(key, text, func(err error) { done(refused(err)) })
}

// change changes the rules of a room, and keeps them: in the order in which
// they are in force, of which the last is there after a restart.
func (c *Chat) change(name string, f func(*rules), done func(error)) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	now, _ := c.cfg.Clock()
	c.mu.Lock()
	r := c.rules[name]
	kicked := make(map[string]int64, len(r.Kicked)) // readers may have the old one
	for id, until := range r.Kicked {
		if until > now.UnixMilli() {
			kicked[id] = until
		}
	}
	r.Kicked = kicked
	f(&r)
	c.rules[name] = r
	c.mu.Unlock()
	c.keep(keyRules+name, r, done)
}
