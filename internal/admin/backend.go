package admin

import (
	"context"
	"io"
	"net/netip"
	"time"
)

// Setting is one key of the configuration, for who may change it.
type Setting struct {
	Key    string   `json:"key"`
	Value  any      `json:"value"`
	Source string   `json:"source"`
	Doc    string   `json:"doc,omitempty"`
	OneOf  []string `json:"oneof,omitempty"`
	Secret bool     `json:"secret,omitempty"`
	Live   bool     `json:"live"` // takes effect without a restart
}

// Event is one line of the log.
type Event struct {
	ID    uint64            `json:"id"`
	Time  int64             `json:"time"` // milliseconds since 1970 UTC
	Level string            `json:"level"`
	Text  string            `json:"text"`
	Attrs map[string]string `json:"attrs,omitempty"`
}

// Backend is the appliance, as an administrator sees it.
type Backend interface {
	// Settings lists every key of the configuration.
	Settings() []Setting
	// Change writes settings, all or none; nil takes one back. Mistakes are
	// config.Errors.
	Change(ctx context.Context, changes map[string]*string) error
	// Events returns the lines of the log after that ID.
	Events(after uint64) []Event
	// Reload reads the configuration anew.
	Reload(ctx context.Context) error
	// Restart ends the program, and has it begin anew.
	Restart()
	// SetClock tells the time to a device that does not know it.
	SetClock(now time.Time)

	// Sockets lists the connections; CloseSocket ends one, and reports
	// whether there is one of that ID.
	Sockets() []Socket
	CloseSocket(id string) bool
	// Rooms lists the chat's rooms.
	Rooms(ctx context.Context) ([]Room, error)

	// Network compares what is wanted with what is there. TryNetwork puts
	// settings into force until ConfirmNetwork, over a new address, or
	// RevertNetwork, or the end of the time.
	Network(ctx context.Context) (Network, error)
	TryNetwork(ctx context.Context, changes map[string]*string) error
	ConfirmNetwork(ctx context.Context, via netip.Addr) error
	RevertNetwork(ctx context.Context) error

	// Report writes what helps to help, without secrets, as text.
	Report(ctx context.Context, w io.Writer) error

	// Backup writes everything that is kept as one file; Restore reads one.
	Backup(ctx context.Context, w io.Writer) error
	Restore(ctx context.Context, r io.Reader) error

	// Update tells how this device is updated, and what became of the last
	// one. TakeUpdate reads a bundle, refuses one that is not trusted, and
	// leaves it to be applied; it returns the bundle's version.
	Update() (Update, error)
	TakeUpdate(r io.Reader) (version string, err error)
}

// Socket is one client's connection.
type Socket struct {
	ID         string   `json:"sid"` // a public one: it opens nothing
	Address    string   `json:"address"`
	Transport  string   `json:"transport"`
	Since      int64    `json:"since"` // milliseconds since 1970 UTC
	Namespaces []string `json:"namespaces"`
	Rooms      []string `json:"rooms"`
	Nick       string   `json:"nick,omitempty"`
}

// Room is a room of the chat.
type Room struct {
	Room     string `json:"room"`
	Members  int    `json:"members"`
	Messages int64  `json:"messages"` // that are kept
	Last     uint64 `json:"last"`     // the number of the last one
	Locked   bool   `json:"locked"`
}

// Network is the interface, in lines for people.
type Network struct {
	Mode      string   `json:"mode"`
	Interface string   `json:"interface"`
	Desired   []string `json:"desired"`
	Observed  []string `json:"observed"`
	Changes   []string `json:"changes"`
	// Pending is the seconds until a change that nobody confirmed is taken
	// back; absent without one.
	Pending int `json:"pending,omitempty"`
}
