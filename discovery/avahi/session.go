package avahi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"server22.local/appliance/discovery"
)

// Waits of a session.
const (
	retryAfter  = 10 * time.Second // what Avahi refused
	callTimeout = 5 * time.Second
	// maxConflicts and conflictPause slow down where name after name is taken
	// (RFC 6762 §8.1).
	maxConflicts  = 15
	conflictPause = 5 * time.Second
)

// A session is one connection to the bus. Run owns it.
type session struct {
	p     *Publisher
	conn  *dbus.Conn
	log   *slog.Logger
	retry *time.Timer

	running bool   // Avahi is there and has settled its own name
	host    string // Avahi's own, a label
	groups  map[key]*group
	order   []key // of the last step
}

func newSession(p *Publisher, conn *dbus.Conn) *session {
	s := &session{p: p, conn: conn, log: p.cfg.Logger, retry: time.NewTimer(0), groups: make(map[key]*group)}
	return s
}

// end tells that nothing is published any more: Avahi takes back what belongs
// to a connection that is closed, with goodbyes.
func (s *session) end() {
	s.retry.Stop()
	s.lost()
	s.p.publish(s.state())
}

// step makes what Avahi publishes what is wanted.
func (s *session) step(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if !s.running && !s.begin(ctx) {
		return
	}
	want := s.p.wanted()
	interfaces := s.usable(want.Interfaces)
	s.order = s.order[:0]
	host := s.publish(ctx, key{discovery.HostName, want.Name, ""}, func(label string) []call {
		if strings.EqualFold(label, s.host) {
			return nil // Avahi has that name with all addresses
		}
		return addresses(label, interfaces)
	})
	for _, alias := range want.Aliases {
		s.publish(ctx, key{discovery.AliasName, alias.Name, ""}, func(label string) []call {
			if alias.CNAME {
				return cname(label, host, interfaces)
			}
			return addresses(label, interfaces)
		})
	}
	for _, service := range want.Services {
		s.publish(ctx, key{discovery.ServiceName, cmp.Or(service.Instance, want.Name), service.Type}, func(label string) []call {
			return serviceEntries(label, host, service, interfaces)
		})
	}
	s.forget(ctx)
}

// begin finds out whether Avahi is ready, and what it calls the host.
func (s *session) begin(ctx context.Context) bool {
	if !s.p.present(ctx, s.conn) {
		return false
	}
	server := s.conn.Object(service, "/")
	var state int32
	if server.CallWithContext(ctx, serverInterface+".GetState", 0).Store(&state) != nil || state != serverRunning ||
		server.CallWithContext(ctx, serverInterface+".GetHostName", 0).Store(&s.host) != nil {
		return false
	}
	s.running = true
	s.log.Info("publishing through avahi-daemon", "host", s.host)
	return true
}

func (s *session) usable(all []discovery.Interface) (list []discovery.Interface) {
	for _, ifi := range all {
		if ifi.Usable() && s.p.cfg.Filter(ifi) {
			list = append(list, ifi)
		}
	}
	return list
}

// publish brings one group up to date, and returns the label in use.
func (s *session) publish(ctx context.Context, k key, entries func(label string) []call) string {
	s.order = append(s.order, k)
	g := s.groups[k]
	if g == nil {
		g = &group{kind: k.kind, wanted: k.wanted, typ: k.typ, number: 1}
		s.groups[k] = g
	}
	for range maxConflicts {
		calls := entries(g.label())
		if g.path != "" && sameCalls(g.calls, calls) {
			return g.label()
		}
		s.withdraw(ctx, g)
		if len(calls) == 0 {
			g.calls, g.held = nil, k.kind == discovery.HostName && strings.EqualFold(g.label(), s.host)
			return g.label()
		}
		err := s.commit(ctx, g, calls)
		if err == nil {
			return g.label()
		}
		if failure, ok := errors.AsType[dbus.Error](err); !ok || failure.Name != collisionError {
			s.log.Warn("avahi-daemon does not take a name", "name", g.label(), "err", err)
			s.retry.Reset(retryAfter)
			return g.label()
		}
		s.conflict(g) // something else on this host has it
	}
	s.retry.Reset(conflictPause)
	return g.label()
}

// commit publishes the entries as a new group, so that what Avahi still says
// of an older one cannot be mistaken for news of this.
func (s *session) commit(ctx context.Context, g *group, calls []call) error {
	err := s.conn.Object(service, "/").CallWithContext(ctx, serverInterface+".EntryGroupNew", 0).Store(&g.path)
	if err != nil {
		return err
	}
	object := s.conn.Object(service, g.path)
	for _, c := range calls {
		if err := object.CallWithContext(ctx, groupInterface+"."+c.method, 0, c.args...).Err; err != nil {
			s.withdraw(ctx, g)
			return err
		}
	}
	if err := object.CallWithContext(ctx, groupInterface+".Commit", 0).Err; err != nil {
		s.withdraw(ctx, g)
		return err
	}
	g.calls = calls
	return nil
}

func (s *session) withdraw(ctx context.Context, g *group) {
	if g.path != "" {
		// A failure means that Avahi has none of it any more.
		_ = s.conn.Object(service, g.path).CallWithContext(ctx, groupInterface+".Free", 0).Err
	}
	g.path, g.held = "", false
}

// forget withdraws what is not wanted any more.
func (s *session) forget(ctx context.Context) {
	wanted := make(map[key]bool)
	for _, k := range s.order {
		wanted[k] = true
	}
	for k, g := range s.groups {
		if !wanted[k] {
			s.withdraw(ctx, g)
			delete(s.groups, k)
		}
	}
}

func (s *session) conflict(g *group) {
	before := g.label()
	g.next()
	s.log.Warn("the name is taken", "name", before, "next", g.label())
}

// heard deals with a signal, and says whether Avahi went away.
func (s *session) heard(signal *dbus.Signal) bool {
	switch signal.Name {
	case "org.freedesktop.DBus.NameOwnerChanged":
		var name, before, after string
		if dbus.Store(signal.Body, &name, &before, &after) != nil || name != service {
			return false
		}
		s.lost()
		return after == ""
	case serverInterface + ".StateChanged":
		// Its own name changes: ours may be that one, or free now.
		s.running = false
	case groupInterface + ".StateChanged":
		var state int32
		var reason string
		if dbus.Store(signal.Body, &state, &reason) == nil {
			s.groupChanged(signal.Path, state, reason)
		}
	}
	return false
}

// lost forgets what an Avahi that has ended has published.
func (s *session) lost() {
	s.running = false
	for _, g := range s.groups {
		g.path, g.held, g.calls = "", false, nil
	}
}

// revive has what failed tried again.
func (s *session) revive() {
	for _, g := range s.groups {
		if g.failed {
			g.failed, g.calls = false, nil
		}
	}
}

func (s *session) groupChanged(path dbus.ObjectPath, state int32, reason string) {
	for _, g := range s.groups {
		if g.path != path {
			continue
		}
		switch state {
		case groupEstablished:
			g.held = true
			s.log.Info("the name is published", "name", g.fqdn(g.label()))
		case groupCollision:
			s.conflict(g)
		case groupFailure:
			s.log.Warn("avahi-daemon failed to publish a name", "name", g.label(), "reason", reason)
			g.failed, g.held = true, false
			s.retry.Reset(retryAfter)
		}
		return
	}
}

// state is what has been achieved, in the order of what is wanted.
func (s *session) state() (state discovery.State) {
	for _, k := range s.order {
		if g := s.groups[k]; g != nil {
			state.Names = append(state.Names, g.state())
		}
	}
	for _, ifi := range s.usable(s.p.wanted().Interfaces) {
		link := discovery.LinkState{Interface: ifi.Name, Index: ifi.Index}
		for _, family := range []string{"IPv4", "IPv6"} {
			link.Family, link.Addresses = family, nil
			for _, p := range ifi.Addresses {
				if p.Addr().Is4() == (family == "IPv4") {
					link.Addresses = append(link.Addresses, p.Addr())
				}
			}
			if len(link.Addresses) > 0 {
				state.Links = append(state.Links, link)
			}
		}
	}
	return state
}
