package browse

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// ErrNoHost is returned for a name that nobody answered for.
var ErrNoHost = errors.New("nobody on this network has that name")

// Host asks every usable interface for the addresses of a host under .local,
// and returns those of the first answer. It asks until the context ends;
// ErrNoHost says that nobody answered.
func Host(ctx context.Context, name string) ([]netip.Addr, error) {
	question, err := wire.NewName(strings.Split(strings.TrimSuffix(name, "."), ".")...)
	if err != nil {
		return nil, fmt.Errorf("%q is not the name of a host: %w", name, err)
	}
	all, err := discovery.SystemInterfaces()
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &host{name: question.Fold(), answered: cancel}
	var group errgroup.Group
	if !ask(ctx, &group, usable(all), h, wanted{question, wire.TypeA}, wanted{question, wire.TypeAAAA}) {
		return nil, ErrNoInterface
	}
	_ = group.Wait() // nobody has an error to tell: an interface may vanish
	if len(h.addrs) == 0 {
		return nil, ErrNoHost
	}
	return h.addrs, nil
}

// host is what one is told of a name. Safe for concurrent use.
type host struct {
	name     wire.Name // folded
	answered func()    // told when somebody has answered

	mu    sync.Mutex // guards the following field
	addrs []netip.Addr
}

// enter keeps the addresses of the host; nothing more is asked for.
func (h *host) enter(m *wire.Message, iface string) []wanted {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range slices.Concat(m.Answers, m.Additionals) {
		data, err := m.Data(&r)
		addr, ok := netip.AddrFromSlice(data)
		if err != nil || !ok || r.TTL == 0 || wire.Name(r.Key) != h.name || r.Type != wire.TypeA && r.Type != wire.TypeAAAA {
			continue
		}
		if addr.Is6() && addr.IsLinkLocalUnicast() {
			addr = addr.WithZone(iface)
		}
		if !slices.Contains(h.addrs, addr) && len(h.addrs) < maxSet {
			h.addrs = append(h.addrs, addr)
		}
	}
	if len(h.addrs) > 0 {
		h.answered()
	}
	return nil
}
