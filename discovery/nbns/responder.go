package nbns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"server22.local/appliance/discovery"
)

// port is that of the NetBIOS name service.
const port = 137

// reopen is how long to wait where the port is taken or may not be opened.
const reopen = 30 * time.Second

// Config says what a [Responder] answers for; all of it may be left out.
type Config struct {
	// Name is one label of at most 15 characters; a longer one has no place
	// in this protocol, and is not answered.
	Name string
	// Interfaces are those to begin with, see [Responder.SetInterfaces].
	Interfaces []discovery.Interface
	// Filter says which interfaces are used; nil means
	// [discovery.DefaultFilter].
	Filter func(discovery.Interface) bool
	// Logger takes a line for each port that cannot be opened; nil logs
	// nothing.
	Logger *slog.Logger

	// listen opens the port on an interface; tests bring a namespace's.
	listen func(context.Context, discovery.Interface) (*net.UDPConn, error)
}

// A Responder answers for one name over IPv4. Its methods may be called
// concurrently.
type Responder struct {
	cfg  Config
	wake chan struct{} // holds one token when something has changed

	mu         sync.Mutex // guards all following fields
	name       string
	interfaces []discovery.Interface
}

// New makes a responder; nothing is opened before [Responder.Run].
func New(cfg Config) *Responder {
	if cfg.Filter == nil {
		cfg.Filter = discovery.DefaultFilter
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.listen == nil {
		cfg.listen = listen
	}
	r := &Responder{cfg: cfg, wake: make(chan struct{}, 1), name: cfg.Name}
	r.SetInterfaces(cfg.Interfaces)
	return r
}

// String names the task in logs.
func (r *Responder) String() string { return "nbns" }

// SetName gives the host another name; "" for none.
func (r *Responder) SetName(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.name = name
}

// SetInterfaces tells which interfaces there are, with their addresses: call
// it with the whole list whenever that changes.
func (r *Responder) SetInterfaces(interfaces []discovery.Interface) {
	var usable []discovery.Interface
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 && r.cfg.Filter(i) && len(addresses(i)) > 0 {
			usable = append(usable, i)
		}
	}
	r.mu.Lock()
	r.interfaces = usable
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // Run will see this change too
	}
}

func addresses(i discovery.Interface) (list []netip.Addr) {
	for _, p := range i.Addresses {
		if p.Addr().Is4() {
			list = append(list, p.Addr())
		}
	}
	return list
}

// Run answers until the context ends, then closes its sockets and returns nil.
func (r *Responder) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		r.round(ctx)
	}
	return nil
}

// round serves the interfaces as they are, until they change.
func (r *Responder) round(ctx context.Context) {
	var links sync.WaitGroup
	defer links.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r.mu.Lock()
	interfaces := r.interfaces
	r.mu.Unlock()
	for _, ifi := range interfaces {
		links.Go(func() { r.serve(ctx, ifi) })
	}
	select {
	case <-ctx.Done():
	case <-r.wake:
	}
}

// serve keeps the port of one interface open.
func (r *Responder) serve(ctx context.Context, ifi discovery.Interface) {
	for ctx.Err() == nil {
		conn, err := r.cfg.listen(ctx, ifi)
		if err == nil {
			r.answer(ctx, conn, ifi)
		} else {
			r.cfg.Logger.Warn("the NetBIOS name is not answered", "iface", ifi.Name, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(reopen):
		}
	}
}

func (r *Responder) answer(ctx context.Context, conn *net.UDPConn, ifi discovery.Interface) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	own := addresses(ifi)
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if !onLink(ifi, from.Addr().Unmap()) {
			continue
		}
		r.mu.Lock()
		name := r.name
		r.mu.Unlock()
		if b := reply(buf[:n], name, own); b != nil {
			if _, err := conn.WriteToUDPAddrPort(b, from); err != nil {
				r.cfg.Logger.Debug("an answer was not sent", "to", from, "err", err)
			}
		}
	}
}

func onLink(ifi discovery.Interface, addr netip.Addr) bool {
	return slices.ContainsFunc(ifi.Addresses, func(p netip.Prefix) bool { return p.Contains(addr) })
}
