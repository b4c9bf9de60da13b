package netcfg

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// resolvedTime is what systemd-resolved may take to answer.
const resolvedTime = 3 * time.Second

// tellResolved gives the name servers to systemd-resolved, whose the resolver
// file is, beside everything else. It takes root, or polkit's leave.
func (c *Configurator) tellResolved(names nameService) {
	if names.same(c.told) || c.telling != nil {
		return // what is being told is compared again when it is done
	}
	index := c.link.now.Index
	c.telling = c.start(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, resolvedTime)
		defer cancel()
		err := c.config.Owners.setResolved(ctx, index, names)
		if err != nil {
			err = fmt.Errorf("telling systemd-resolved the name servers: %w", err)
		}
		_ = c.do(c.jobs, func() error {
			c.telling = nil
			c.logOnce(&c.untold, "cannot set the name servers", err)
			if err == nil && c.link != nil && c.link.now.Index == index {
				c.told = names
				c.lookAfter(0)
			}
			c.publish()
			return nil
		})
	})
}

// setResolved sets the name servers of a link in systemd-resolved, or has it
// forget them where there are none (org.freedesktop.resolve1(5)).
func (f OwnerFinder) setResolved(ctx context.Context, link int, names nameService) error {
	bus, err := f.connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting to D-Bus: %w", err)
	}
	defer bus.Close()
	const service = "org.freedesktop.resolve1"
	if !serviceIsHere(ctx, bus, service) {
		return errors.New("it does not run, though the resolver file is its")
	}
	resolved := bus.Object(service, "/org/freedesktop/resolve1")
	type request struct {
		method string
		args   []any
	}
	index := int32(link)
	requests := []request{
		{"SetLinkDNS", []any{index, resolvedServers(names.servers)}},
		{"SetLinkDomains", []any{index, resolvedDomains(names.search)}},
		{"SetLinkDefaultRoute", []any{index, true}},
	}
	if names.empty() {
		requests = []request{{"RevertLink", []any{index}}}
	}
	for _, r := range requests {
		if err := resolved.CallWithContext(ctx, service+".Manager."+r.method, 0, r.args...).Err; err != nil {
			return refusal(err)
		}
	}
	return nil
}

// refusal explains the error that is not self-evident.
func refusal(err error) error {
	answer, ok := errors.AsType[dbus.Error](err)
	if ok && (answer.Name == "org.freedesktop.DBus.Error.AccessDenied" || answer.Name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired") {
		return fmt.Errorf("it takes them from root, or by polkit's leave: %w", err)
	}
	return err
}

type resolvedServer struct {
	Family  int32
	Address []byte
}

func resolvedServers(addrs []netip.Addr) []resolvedServer {
	servers := make([]resolvedServer, len(addrs))
	for i, addr := range addrs {
		servers[i] = resolvedServer{familyOf(addr), addr.AsSlice()}
	}
	return servers
}

func familyOf(addr netip.Addr) int32 {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

type resolvedDomain struct {
	Name      string
	RouteOnly bool // not for completing short names
}

func resolvedDomains(search []string) []resolvedDomain {
	domains := make([]resolvedDomain, len(search))
	for i, name := range search {
		domains[i] = resolvedDomain{Name: name}
	}
	return domains
}
