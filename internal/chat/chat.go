package chat

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/history"
)

// Log keeps what was said, by room.
type Log interface {
	history.Log
	// Channels returns the rooms in which something was said.
	Channels() []string
	// Search returns the newest messages, at most limit, of some rooms that
	// match a text, oldest first.
	Search(ctx context.Context, rooms []string, text string, limit int) ([]history.Message, error)
}

// State keeps what the administrator decided, and who talks to whom directly.
type State interface {
	All(ctx context.Context) (map[string][]byte, error)
	// Put makes a value durable; nil removes it.
	Put(key string, value []byte, done func(error))
}

// Config says what a chat is.
type Config struct {
	// Rooms are there whether or not somebody is in them.
	Rooms []string
	Log   Log
	State State
	// Clock returns the time, and whether the clock was ever set; nil is
	// time.Now, set.
	Clock func() (now time.Time, set bool)
	// Admin says whether a socket is the administrator's; nil: none is.
	Admin func(*realtime.Socket) bool
	// Rate bounds the messages a second of one client, after a burst; 0 means
	// 5000, after 20,000: more than people say, less than fills the disk at once.
	Rate  float64
	Burst int
	// MaxRooms bounds the rooms that people are in; 0 means 5000.
	MaxRooms int
	Logger   *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = func() (time.Time, bool) { return time.Now(), true }
	}
	if c.Admin == nil {
		c.Admin = func(*realtime.Socket) bool { return false }
	}
	if c.Rate == 0 {
		c.Rate = 5000
	}
	if c.Burst == 0 {
		c.Burst = 20_000
	}
	if c.MaxRooms == 0 {
		c.MaxRooms = 5000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Chat is the rooms. Its methods may be called from any goroutine.
type Chat struct {
	cfg    Config
	keeper *history.Keeper
	ns     *realtime.Namespace

	deciding sync.Mutex // held while rules change and are handed to be kept; taken before mu

	mu     sync.Mutex // guards all following fields
	fixed  []string   // the rooms that are there anyway
	rooms  map[string]*room
	guests map[*realtime.Socket]*guest
	decisions
}

// Open returns a chat with what was kept of it.
func Open(ctx context.Context, cfg Config) (*Chat, error) {
	c := &Chat{
		cfg: cfg.withDefaults(), keeper: history.NewKeeper(cfg.Log, 0),
		rooms: make(map[string]*room), guests: make(map[*realtime.Socket]*guest),
	}
	if err := c.SetRooms(cfg.Rooms); err != nil {
		return nil, err
	}
	if err := c.Reload(ctx); err != nil {
		return nil, fmt.Errorf("opening the chat: %w", err)
	}
	return c, nil
}

// Reload reads what is kept anew, after a backup was restored.
func (c *Chat) Reload(ctx context.Context) error {
	d, err := c.loadState(ctx)
	if err != nil {
		return err
	}
	c.keeper.Reload()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decisions = d
	return nil
}

// SetRooms says which rooms are there whether or not somebody is in them.
func (c *Chat) SetRooms(names []string) error {
	for _, name := range names {
		if err := checkRoom(name); err != nil {
			return fmt.Errorf("the room %q of the configuration: %w", name, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fixed = slices.Clone(names)
	return nil
}

// Stats is what the chat holds.
type Stats struct {
	Rooms   int // with people in them
	Members int // sockets that are in a room, once per room
}

// Stats returns the figures of now.
func (c *Chat) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Rooms: len(c.rooms)}
	for _, r := range c.rooms {
		s.Members += r.size()
	}
	return s
}

// RoomInfo describes a room.
type RoomInfo struct {
	Room    string `json:"room"`
	Members int    `json:"members"` // names in it
	Last    uint64 `json:"last"`    // number of its last message
	Posting string `json:"posting"`
	Direct  string `json:"direct,omitempty"` // with whom
}

// Rooms describes the rooms that are open to all, in their order: those of the
// configuration, those with people in them, and those in which something was
// said.
func (c *Chat) Rooms(ctx context.Context) ([]RoomInfo, error) {
	list := []RoomInfo{}
	for _, name := range c.roomNames() {
		info, err := c.describe(ctx, name)
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	return list, nil
}

func (c *Chat) roomNames() []string {
	names := c.cfg.Log.Channels()
	c.mu.Lock()
	names = append(names, c.fixed...)
	for name := range c.rooms {
		names = append(names, name)
	}
	c.mu.Unlock()
	names = slices.DeleteFunc(names, isDirect)
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *Chat) describe(ctx context.Context, name string) (RoomInfo, error) {
	last, err := c.cfg.Log.Last(ctx, name)
	if err != nil {
		return RoomInfo{}, fmt.Errorf("describing the room %q: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info := RoomInfo{Room: name, Last: last, Posting: c.rules[name].posting()}
	if r := c.rooms[name]; r != nil {
		info.Members = len(r.names())
	}
	return info, nil
}

// exists reports whether a room is open to all and known: configured, with
// people in it, or with messages.
func (c *Chat) exists(ctx context.Context, name string) (bool, error) {
	c.mu.Lock()
	here := c.rooms[name] != nil || slices.Contains(c.fixed, name)
	c.mu.Unlock()
	if here {
		return true, nil
	}
	last, err := c.cfg.Log.Last(ctx, name)
	return last > 0, err
}

// now returns the time for a message, and whether it cannot be trusted.
func (c *Chat) now() (time.Time, bool) {
	now, set := c.cfg.Clock()
	return now, !set
}

// fold makes names equal that people take for equal.
func fold(nick string) string { return strings.ToLower(nick) }
