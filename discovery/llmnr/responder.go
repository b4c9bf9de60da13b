package llmnr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"server22.local/appliance/discovery"
)

// Errors of New, SetName and Run.
var (
	// ErrInvalid is wrapped where a name is no single label.
	ErrInvalid = errors.New("not a single label")
	// ErrRunning is returned by a second Run.
	ErrRunning = errors.New("the responder runs already")
)

// A Responder answers for one name. Its methods may be called concurrently,
// before and while it runs; none of them but Run waits for the network.
type Responder struct {
	cfg  Config
	wake chan struct{} // holds one token when want has changed

	mu       sync.Mutex // guards all following fields
	running  bool
	want     desired
	links    map[linkKey]*link
	watchers map[chan State]struct{}
}

// desired is what callers asked for; Run makes it so. Its slices are never
// changed.
type desired struct {
	name       string
	interfaces []discovery.Interface
}

// A linkKey tells links apart.
type linkKey struct {
	index  int
	family family
}

// New checks the configuration and makes a responder of it; nothing is sent
// before [Responder.Run].
func New(cfg Config) (*Responder, error) {
	r := &Responder{
		cfg:      cfg.withDefaults(),
		wake:     make(chan struct{}, 1),
		links:    make(map[linkKey]*link),
		watchers: make(map[chan State]struct{}),
	}
	if err := r.SetName(cfg.Name); err != nil {
		return nil, err
	}
	r.SetInterfaces(cfg.Interfaces)
	return r, nil
}

// String names the task in logs.
func (r *Responder) String() string { return "llmnr" }

// SetName gives the host another name, which is checked on each link before it
// counts as ours; "" for none.
func (r *Responder) SetName(name string) error {
	if len(name) > 63 || strings.ContainsAny(name, ". \\") {
		return fmt.Errorf("name %q: %w", name, ErrInvalid)
	}
	r.change(func(want *desired) { want.name = name })
	return nil
}

// SetInterfaces tells which interfaces there are, with their addresses: call
// it with the whole list whenever that changes.
func (r *Responder) SetInterfaces(interfaces []discovery.Interface) {
	var usable []discovery.Interface
	for _, i := range interfaces {
		if i.Usable() && r.cfg.Filter(i) {
			i.Addresses = publishable(i.Addresses)
			usable = append(usable, i)
		}
	}
	r.change(func(want *desired) { want.interfaces = usable })
}

// publishable brings addresses into one form and order: those that are good
// everywhere first, for clients that take the first.
func publishable(prefixes []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range prefixes {
		if addr := p.Addr().Unmap().WithZone(""); addr.IsGlobalUnicast() || addr.IsLinkLocalUnicast() {
			list = append(list, netip.PrefixFrom(addr, p.Bits()))
		}
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		rank := func(p netip.Prefix) int {
			if p.Addr().IsLinkLocalUnicast() {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Addr().Compare(b.Addr()))
	})
	return slices.Compact(list)
}

func (r *Responder) change(edit func(*desired)) {
	r.mu.Lock()
	edit(&r.want)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // Run will see this change too
	}
}

// Run answers until the context ends, then closes its sockets and returns nil.
// What goes wrong on one link is tried again and told in [State].
func (r *Responder) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.running {
		r.mu.Unlock()
		return ErrRunning
	}
	r.running = true
	r.mu.Unlock()
	defer func() {
		r.reconcile(ctx, desired{})
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}()
	for {
		r.mu.Lock()
		want := r.want
		r.mu.Unlock()
		r.reconcile(ctx, want)
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
	}
}

// reconcile ends the links that are gone or look different now, and starts
// those that are new.
func (r *Responder) reconcile(ctx context.Context, want desired) {
	wanted := make(map[linkKey]*link)
	if want.name != "" {
		for _, ifi := range want.interfaces {
			for _, fam := range []family{ipv4, ipv6} {
				if l := newLink(r, ifi, fam, want.name); len(l.own()) > 0 {
					wanted[linkKey{ifi.Index, fam}] = l
				}
			}
		}
	}
	r.mu.Lock()
	before := maps.Clone(r.links)
	r.mu.Unlock()
	for key, old := range before {
		l := wanted[key]
		if l != nil && l.same(old) {
			wanted[key] = old
			continue
		}
		old.end()
		if l != nil {
			l.inherit(old)
		}
	}
	r.mu.Lock()
	r.links = wanted
	r.mu.Unlock()
	for key, l := range wanted {
		if l != before[key] {
			l.start(ctx)
		}
	}
	r.publish()
}

// isOwn says whether an address is one of this host's: two interfaces in one
// LAN hear each other.
func (r *Responder) isOwn(addr netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(r.want.interfaces, func(i discovery.Interface) bool {
		return slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr() == addr })
	})
}

// State returns what has been achieved so far.
func (r *Responder) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state()
}

func (r *Responder) state() State {
	s := State{Name: r.want.name}
	for _, l := range r.links {
		link := l.state()
		if l.name != s.Name { // it answers the former name until Run sees the change
			link.Phase, link.Rival = Checking, netip.Addr{}
		}
		s.Links = append(s.Links, link)
	}
	slices.SortFunc(s.Links, func(a, b LinkState) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Family, b.Family))
	})
	return s
}

// Watch returns a channel that has the state now and after every change, until
// the context ends and it is closed. A slow reader gets the newest state only.
func (r *Responder) Watch(ctx context.Context) <-chan State {
	ch := make(chan State, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	ch <- r.state()
	r.watchers[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, ch)
		close(ch)
	})
	return ch
}

// publish hands the state to whoever watches.
func (r *Responder) publish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ch := range r.watchers {
		select {
		case <-ch: // the reader has not taken the last one
		default:
		}
		ch <- r.state()
	}
}
