package discovery

import (
	"log/slog"
	"time"
)

// DefaultRetry is how long a responder that had to take another name waits
// before it tries for the configured one again.
const DefaultRetry = time.Hour

// Config says what a [Responder] is called and how it behaves. Only Name is
// required.
type Config struct {
	// Name is the host's name, one label without a domain: "server22" is
	// found as server22.local.
	Name string

	// Aliases are further names of the host, in the same form; see [Alias].
	Aliases []Alias

	// Services are announced from the start; [Responder.Announce] adds more.
	Services []Service

	// Interfaces are those to begin with, see [Responder.SetInterfaces].
	Interfaces []Interface

	// Filter says which interfaces are used; nil means [DefaultFilter]. An
	// interface that is down, has no carrier or no multicast is never used.
	Filter func(Interface) bool

	// Store remembers names that were won, so that a host that had to give
	// way has the same name after a restart. nil remembers nothing.
	Store Store

	// Retry is how long to live with another name before the configured one
	// is tried again; 0 means [DefaultRetry]. A rival that says goodbye is
	// noticed without waiting.
	Retry time.Duration

	// MulticastOnly leaves to another responder on this host, such as Avahi,
	// what only one can have: unicast to port 5353, which would otherwise
	// arrive here, and the names of addresses.
	MulticastOnly bool

	// Logger takes a line for each event of a name's life, and for each
	// packet at debug level; nil logs nothing.
	Logger *slog.Logger

	// platform is the operating system; tests bring a network in memory.
	platform platform
}

func (c Config) withDefaults() Config {
	if c.Filter == nil {
		c.Filter = DefaultFilter
	}
	if c.Store == nil {
		c.Store = forgetful{}
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
