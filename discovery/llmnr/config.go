package llmnr

import (
	"log/slog"
	"time"

	"server22.local/appliance/discovery"
)

// DefaultRetry is how long a link on which another host has the name waits
// before it asks again.
const DefaultRetry = 10 * time.Minute

// Config says what a [Responder] answers for; all of it may be left out, and
// the name and the interfaces be set later.
type Config struct {
	// Name is one label: "server22". While it is empty nothing is answered.
	Name string

	// Interfaces are those to begin with, see [Responder.SetInterfaces].
	Interfaces []discovery.Interface

	// Filter says which interfaces are used; nil means
	// [discovery.DefaultFilter]. An interface that is down, or has no carrier
	// or no multicast, is never used.
	Filter func(discovery.Interface) bool

	// Retry is how long to leave the name to another host before looking
	// whether it still has it; 0 means [DefaultRetry].
	Retry time.Duration

	// Logger takes a line for each event of the name's life; nil logs nothing.
	Logger *slog.Logger

	// platform is the operating system; tests bring a namespace's.
	platform platform
}

func (c Config) withDefaults() Config {
	if c.Filter == nil {
		c.Filter = discovery.DefaultFilter
	}
	if c.Retry <= 0 {
		c.Retry = DefaultRetry
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.platform == nil {
		c.platform = system{}
	}
	return c
}
