package avahi

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/neighbour"
)

// ErrGone is returned by [Publisher.Run] when Avahi is not there any more.
var ErrGone = errors.New("avahi-daemon is gone")

// patience is how long a restart of Avahi may take.
const patience = 10 * time.Second

// Content is what is to be published. Names and services have the form that
// [discovery.New] accepts; a service without an instance is called as the host.
type Content struct {
	Name       string
	Aliases    []discovery.Alias
	Services   []discovery.Service
	Interfaces []discovery.Interface
}

// Config says how a [Publisher] works; all of it may be left out.
type Config struct {
	// Content is what to begin with, see [Publisher.Set].
	Content Content

	// Filter says which interfaces are used; nil means
	// [discovery.DefaultFilter].
	Filter func(discovery.Interface) bool

	// Host says what becomes of the host's name, which Avahi has one of too.
	Host HostName

	// Store remembers names that were won in place of others; nil remembers
	// nothing. It may be the one of our own responder.
	Store discovery.Store

	// Retry is how long to live with another name before the configured one
	// is tried for again; 0 means [discovery.DefaultRetry].
	Retry time.Duration

	// Address is that of the message bus; "" means the system's.
	Address string

	// Logger takes a line for each event of a name's life; nil logs nothing.
	Logger *slog.Logger

	// sameNetwork says whether a process is in our network namespace; nil
	// means to look.
	sameNetwork func(pid uint32) bool
}

// A HostName says how the wanted name and Avahi's own get on.
type HostName int

// The ways to name the host.
const (
	// Beside publishes the wanted name too; Avahi's own stays what it is.
	Beside HostName = iota
	// Own leaves it at Avahi's own name, on which the services are then.
	Own
	// Rename has Avahi call the host by the wanted name, and leaves it at
	// that. It takes root, or the group netdev.
	Rename
)

// forgetful is the store of those who have none.
type forgetful struct{}

func (forgetful) Load(string) (string, error) { return "", nil }
func (forgetful) Save(string, string) error   { return nil }

// A Publisher keeps Avahi publishing. Its methods may be called concurrently.
type Publisher struct {
	cfg  Config
	wake chan struct{} // holds one token when want has changed

	mu       sync.Mutex // guards all following fields
	want     Content
	state    discovery.State
	watchers map[chan discovery.State]struct{}
}

// New makes a publisher; nothing is sent before [Publisher.Run].
func New(cfg Config) *Publisher {
	if cfg.Filter == nil {
		cfg.Filter = discovery.DefaultFilter
	}
	if cfg.Store == nil {
		cfg.Store = forgetful{}
	}
	if cfg.Retry <= 0 {
		cfg.Retry = discovery.DefaultRetry
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.sameNetwork == nil {
		cfg.sameNetwork = neighbour.SameNetwork
	}
	return &Publisher{
		cfg: cfg, want: cfg.Content,
		wake:     make(chan struct{}, 1),
		watchers: make(map[chan discovery.State]struct{}),
	}
}

// String names the task in logs.
func (p *Publisher) String() string { return "avahi" }

// Set replaces what is to be published; the publisher keeps its slices. Only
// what differs is published anew.
func (p *Publisher) Set(c Content) {
	p.mu.Lock()
	p.want = c
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default: // Run will see this change too
	}
}

func (p *Publisher) wanted() Content {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want
}

// Run publishes until the context ends, then takes everything back and returns
// nil. A restart of Avahi is lived through; if it stays away, Run returns
// [ErrGone].
func (p *Publisher) Run(ctx context.Context) error {
	conn, signals, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := newSession(p, conn)
	defer s.end()
	gone := time.NewTimer(patience)
	defer gone.Stop()
	for {
		s.step(ctx)
		p.publish(s.state())
		if s.running {
			gone.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-gone.C:
			return ErrGone
		case <-p.wake:
		case <-s.retry.C:
			s.revive()
		case signal, ok := <-signals:
			if !ok {
				return errors.New("the message bus is gone")
			}
			if s.heard(ctx, signal) {
				gone.Reset(patience)
			}
		}
	}
}

// State returns what has been achieved so far.
func (p *Publisher) State() discovery.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Watch returns a channel that has the state now and after every change, until
// the context ends and it is closed. A slow reader gets the newest state only.
func (p *Publisher) Watch(ctx context.Context) <-chan discovery.State {
	ch := make(chan discovery.State, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	ch <- p.state
	p.watchers[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, ch)
		close(ch)
	})
	return ch
}

func (p *Publisher) publish(s discovery.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.EqualFunc(p.state.Names, s.Names, sameName) {
		return
	}
	p.state = s
	for ch := range p.watchers {
		select {
		case <-ch: // the reader has not taken the last one
		default:
		}
		ch <- s
	}
}

func sameName(a, b discovery.NameState) bool {
	return a.Kind == b.Kind && a.Wanted == b.Wanted && a.Name == b.Name && a.Held == b.Held && a.Conflicts == b.Conflicts
}

// connect opens the bus, and asks for the signals that matter.
func (p *Publisher) connect(ctx context.Context) (*dbus.Conn, chan *dbus.Signal, error) {
	conn, err := neighbour.Bus(ctx, p.cfg.Address)
	if err != nil {
		return nil, nil, err
	}
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, service)},
		{dbus.WithMatchSender(service), dbus.WithMatchInterface(serverInterface), dbus.WithMatchMember("StateChanged")},
		{dbus.WithMatchSender(service), dbus.WithMatchInterface(groupInterface), dbus.WithMatchMember("StateChanged")},
		{dbus.WithMatchSender(service), dbus.WithMatchInterface(recordInterface), dbus.WithMatchMember("ItemRemove")},
	} {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			conn.Close()
			return nil, nil, err
		}
	}
	return conn, signals, nil
}
