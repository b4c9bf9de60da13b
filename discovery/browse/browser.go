package browse

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// Config says what a [Browser] looks for.
type Config struct {
	// Type is that of the services: "_http._tcp".
	Type string
	// Interfaces are those to begin with, see [Browser.SetInterfaces].
	Interfaces []discovery.Interface
	// Filter says which interfaces are used; nil means
	// [discovery.DefaultFilter].
	Filter func(discovery.Interface) bool
	// Logger takes a line for each interface that cannot be used, and for
	// each packet that cannot be sent at debug level; nil logs nothing.
	Logger *slog.Logger

	// open opens the kernel's sockets; tests bring a network in memory.
	open opener
}

// A Browser keeps a list of services true for as long as it runs: by continuous
// querying (RFC 6762 §5.2) and a cache that forgets what nobody confirms. It
// needs the port of multicast DNS to be shared, and asks by multicast only:
// unicast answers would be taken from the responder of this host, or by it. Its
// methods may be called concurrently.
type Browser struct {
	cfg  Config
	name wire.Name
	wake chan struct{} // holds one token when the interfaces have changed

	mu         sync.Mutex // guards all following fields
	interfaces []discovery.Interface
	services   []Service
	watchers   map[chan []Service]struct{}
}

// New makes a browser; nothing is sent before [Browser.Run].
func New(cfg Config) (*Browser, error) {
	name, err := typeName(cfg.Type)
	if err != nil {
		return nil, err
	}
	if cfg.Filter == nil {
		cfg.Filter = discovery.DefaultFilter
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.open == nil {
		cfg.open = openGroup
	}
	return &Browser{
		cfg: cfg, name: name, interfaces: cfg.Interfaces, services: []Service{},
		wake: make(chan struct{}, 1), watchers: make(map[chan []Service]struct{}),
	}, nil
}

// String names the task in logs.
func (b *Browser) String() string { return "browser of " + b.cfg.Type }

// SetInterfaces tells which interfaces there are: call it with the whole list
// whenever that changes.
func (b *Browser) SetInterfaces(interfaces []discovery.Interface) {
	b.mu.Lock()
	same := reflect.DeepEqual(b.interfaces, interfaces)
	b.interfaces = slices.Clone(interfaces)
	b.mu.Unlock()
	if same {
		return
	}
	select {
	case b.wake <- struct{}{}:
	default: // it will see this change too
	}
}

func (b *Browser) wanted() []discovery.Interface {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.interfaces
}

// Run searches until the context ends, then closes its sockets and returns nil.
func (b *Browser) Run(ctx context.Context) error {
	newSearch(b).run(ctx)
	return nil
}

// Services are those that are there now, in the order of their names.
func (b *Browser) Services() []Service {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.services
}

// Watch returns a channel that has the list now and after every change, until
// the context ends and it is closed. A slow reader gets the newest list only,
// and must not change it.
func (b *Browser) Watch(ctx context.Context) <-chan []Service {
	ch := make(chan []Service, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	ch <- b.services
	b.watchers[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, ch)
		close(ch)
	})
	return ch
}

// publish hands out a list that is new.
func (b *Browser) publish(list []Service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.EqualFunc(b.services, list, Service.Equal) {
		return
	}
	b.services = list
	for ch := range maps.Keys(b.watchers) {
		select {
		case <-ch: // the reader has not taken the last one
		default:
		}
		ch <- list
	}
}
