package llmnr

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"server22.local/appliance/discovery"
	"server22.local/appliance/internal/netnstest"
)

// inNamespace is the kernel's platform in a network namespace.
type inNamespace struct{ ns *netnstest.NS }

func (p inNamespace) multicast(i discovery.Interface, f family) (s socket, err error) {
	p.ns.Do(func() { s, err = system{}.multicast(i, f) })
	return s, err
}

func (p inNamespace) asker(i discovery.Interface, addr netip.Addr) (s socket, err error) {
	p.ns.Do(func() { s, err = system{}.asker(i, addr) })
	return s, err
}

func (p inNamespace) listen(ctx context.Context, i discovery.Interface, addr netip.Addr) (l net.Listener, err error) {
	p.ns.Do(func() { l, err = system{}.listen(ctx, i, addr) })
	return l, err
}

// A lan is a bridge, with hosts 10.53.0.N plugged into it.
type lan struct {
	t   *testing.T
	hub *netnstest.NS
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{t, netnstest.New(t)}
	l.hub.Bridge("br0")
	return l
}

type host struct {
	*netnstest.NS
	t *testing.T
}

func (l *lan) host(n int) *host {
	l.t.Helper()
	h := &host{netnstest.New(l.t), l.t}
	h.Do(func() {
		// Nobody else has the addresses: they are usable at once.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644)
	})
	port := fmt.Sprintf("port%d", n)
	netnstest.Veth(l.t, l.hub, port, h.NS, "eth0")
	l.hub.Enslave("br0", port)
	h.Addr("eth0", fmt.Sprintf("10.53.0.%d/24", n))
	return h
}

func (h *host) interfaces() (list []discovery.Interface) {
	h.t.Helper()
	h.Do(func() {
		var err error
		if list, err = discovery.SystemInterfaces(); err != nil {
			h.t.Error(err)
		}
	})
	return list
}

// run starts a responder for server22 on the host.
func (h *host) run(cfg Config) *Responder {
	h.t.Helper()
	cfg.Name, cfg.Interfaces, cfg.platform = "server22", h.interfaces(), inNamespace{h.NS}
	cfg.Logger = slog.New(slog.NewTextHandler(h.t.Output(), nil))
	r, err := New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	return r
}

// waitPhase waits until the name is as far on every link.
func waitPhase(t *testing.T, r *Responder, phase Phase) {
	t.Helper()
	netnstest.Eventually(t, 8*time.Second, "every link to be "+string(phase), func() bool {
		s := r.State()
		for _, l := range s.Links {
			if l.Phase != phase || l.Problem != "" {
				return false
			}
		}
		return len(s.Links) > 0
	})
}
