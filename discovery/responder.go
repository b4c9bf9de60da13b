package discovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Responder makes a host and its services found by multicast DNS. Its
// methods may be called concurrently, before and while it runs; none of them
// waits for the network.
type Responder struct {
	cfg   Config
	ready chan struct{} // closed once the host's name is held somewhere
	wake  chan struct{} // holds one token when want has changed

	mu       sync.Mutex // guards all following fields
	running  bool
	want     desired
	state    State
	watchers map[chan State]struct{}
}

// desired is what callers asked for; the engine makes it so.
type desired struct {
	host       string
	aliases    []Alias
	services   []Service
	interfaces []Interface
	// multicastOnly leaves unicast to another responder of this host.
	multicastOnly bool
	resumed       int // how often the host has woken up
}

// ErrRunning is returned by a second [Responder.Run].
var ErrRunning = errors.New("the responder runs already")

// New checks the configuration and makes a responder of it; nothing is sent
// before [Responder.Run]. What it refuses wraps [ErrInvalid].
func New(cfg Config) (*Responder, error) {
	r := &Responder{
		cfg:      cfg.withDefaults(),
		ready:    make(chan struct{}),
		wake:     make(chan struct{}, 1),
		watchers: make(map[chan State]struct{}),
	}
	if err := validHost(cfg.Name); err != nil {
		return nil, err
	}
	r.want.host, r.want.multicastOnly = cfg.Name, cfg.MulticastOnly
	if err := r.SetAliases(cfg.Aliases...); err != nil {
		return nil, err
	}
	for _, s := range cfg.Services {
		if err := r.Announce(s); err != nil {
			return nil, err
		}
	}
	r.SetInterfaces(cfg.Interfaces)
	return r, nil
}

// Run answers until the context ends, then says goodbye on every link, closes
// its sockets, and returns nil. What goes wrong on one link, such as a port
// that somebody does not share, is tried again and told in [State].
func (r *Responder) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.running {
		r.mu.Unlock()
		return ErrRunning
	}
	r.running = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}()
	newEngine(r).run(ctx)
	return nil
}

// Ready is closed when the host's name is held on a first link: from then on
// it is answered there. Without a network that never happens.
func (r *Responder) Ready() <-chan struct{} { return r.ready }

// String names the task in logs.
func (r *Responder) String() string { return "discovery" }

// SetInterfaces tells which interfaces there are, with their addresses: call
// it with the whole list whenever that changes. Addresses that appear are
// announced, those that vanish withdrawn, and a link that comes up is probed
// from the beginning (RFC 6762 §8.3, §8.4).
func (r *Responder) SetInterfaces(interfaces []Interface) {
	normal := make([]Interface, 0, len(interfaces))
	for _, i := range interfaces {
		normal = append(normal, i.normal())
	}
	r.change(func(want *desired) { want.interfaces = normal })
}

// Announce adds a service, or replaces the one of the same instance name and
// type. What it refuses wraps [ErrInvalid].
func (r *Responder) Announce(s Service) error {
	s.Subtypes = slices.Clone(s.Subtypes)
	s.TXT = slices.Clone(s.TXT)
	if s.Instance == "" {
		s.Instance = r.cfg.Name
	}
	if err := s.validate(); err != nil {
		return err
	}
	r.change(func(want *desired) {
		services := slices.Clone(want.services)
		if i := indexService(services, s.key()); i >= 0 {
			services[i] = s
		} else {
			services = append(services, s)
		}
		want.services = services
	})
	return nil
}

// Withdraw takes back a service that was announced with that instance name
// ("" as in [Service]) and type, and says goodbye for it.
func (r *Responder) Withdraw(instance, typ string) {
	if instance == "" {
		instance = r.cfg.Name
	}
	key := Service{Instance: instance, Type: typ}.key()
	r.change(func(want *desired) {
		if i := indexService(want.services, key); i >= 0 {
			want.services = slices.Delete(slices.Clone(want.services), i, i+1)
		}
	})
}

func indexService(services []Service, key string) int {
	return slices.IndexFunc(services, func(s Service) bool { return s.key() == key })
}

// SetAliases replaces the host's further names. What it refuses wraps
// [ErrInvalid].
func (r *Responder) SetAliases(aliases ...Alias) error {
	seen := make(map[string]bool)
	for _, a := range aliases {
		if err := a.validate(); err != nil {
			return err
		}
		folded := strings.ToLower(a.Name)
		if seen[folded] {
			return fmt.Errorf("alias %q: %w: it is there twice", a.Name, ErrInvalid)
		}
		seen[folded] = true
	}
	r.change(func(want *desired) { want.aliases = slices.Clone(aliases) })
	return nil
}

// Rename gives the host another name. The old one is withdrawn at once; the
// new one is in use as soon as probing shows that it is free. What it refuses
// wraps [ErrInvalid].
func (r *Responder) Rename(name string) error {
	if err := validHost(name); err != nil {
		return err
	}
	r.change(func(want *desired) { want.host = name })
	return nil
}

// SetMulticastOnly changes what [Config.MulticastOnly] began with, when another
// responder starts or ends on this host.
func (r *Responder) SetMulticastOnly(only bool) {
	r.mu.Lock()
	same := r.want.multicastOnly == only
	r.mu.Unlock()
	if !same {
		r.change(func(want *desired) { want.multicastOnly = only })
	}
}

// Resume tells that the host has been asleep, so that names are probed and
// announced again on every link (RFC 6762 §8.3). On Linux the responder finds
// out by itself.
func (r *Responder) Resume() { r.change(func(want *desired) { want.resumed++ }) }

// State returns what has been achieved so far.
func (r *Responder) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Watch returns a channel that has the state now and after every change, until
// the context ends and it is closed. A slow reader gets the newest state only.
func (r *Responder) Watch(ctx context.Context) <-chan State {
	ch := make(chan State, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	ch <- r.state
	r.watchers[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, ch)
		close(ch)
	})
	return ch
}

// change edits what is wanted and wakes the engine.
func (r *Responder) change(edit func(*desired)) {
	r.mu.Lock()
	edit(&r.want)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // it will see this change too
	}
}

// wanted returns what is wanted now; its slices are never changed.
func (r *Responder) wanted() desired {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.want
}

// publish hands a new state to whoever watches.
func (r *Responder) publish(s State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.equal(s) {
		return
	}
	r.state = s
	for ch := range maps.Keys(r.watchers) {
		select {
		case <-ch: // the reader has not taken the last one
		default:
		}
		ch <- s
	}
}
