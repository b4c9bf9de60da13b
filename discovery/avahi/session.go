package avahi

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/godbus/dbus/v5"

	"server22.local/appliance/discovery"
)

// Waits of a session.
const (
	retryAfter  = 10 * time.Second // what Avahi refused
	callTimeout = 5 * time.Second
)

// A session is one connection to the bus. Run owns it.
type session struct {
	p     *Publisher
	conn  *dbus.Conn
	log   *slog.Logger
	retry *time.Timer

	running bool      // Avahi is there and has settled its own name
	host    string    // Avahi's own, a label
	renamed string    // what Avahi was last asked to call the host
	due     time.Time // when retry fires; zero if it does not
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
	host := s.publishHost(ctx, want.Name, interfaces)
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
	s.schedule()
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

// heard deals with a signal, and says whether Avahi went away.
func (s *session) heard(ctx context.Context, signal *dbus.Signal) bool {
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
	case recordInterface + ".ItemRemove":
		s.rivalLeft(signal.Path)
	case groupInterface + ".StateChanged":
		var state int32
		var reason string
		if dbus.Store(signal.Body, &state, &reason) == nil {
			s.groupChanged(ctx, signal.Path, state, reason)
		}
	}
	return false
}

// lost forgets what an Avahi that has ended has published.
func (s *session) lost() {
	s.running = false
	for _, g := range s.groups {
		g.entry, g.trial, g.rival, g.held = entry{}, entry{}, "", false
	}
}

// revive has what failed tried again.
func (s *session) revive() {
	s.due = time.Time{}
	for _, g := range s.groups {
		if g.failed {
			g.failed, g.calls = false, nil
		}
	}
}

// retryAt lets the next step be at t at the latest.
func (s *session) retryAt(t time.Time) {
	if s.due.IsZero() || t.Before(s.due) {
		s.due = t
		s.retry.Reset(time.Until(t))
	}
}

// schedule comes back for the names that are to be tried for.
func (s *session) schedule() {
	for _, g := range s.groups {
		if !g.retry.IsZero() && g.trial.path == "" {
			s.retryAt(g.retry)
		}
	}
}

func (s *session) groupChanged(ctx context.Context, path dbus.ObjectPath, state int32, reason string) {
	for _, g := range s.groups {
		switch path {
		case g.path:
			s.changed(g, state, reason)
		case g.trial.path:
			s.tried(ctx, g, state)
		}
	}
}

func (s *session) changed(g *group, state int32, reason string) {
	switch state {
	case groupEstablished:
		if !g.held {
			s.log.Info("the name is published", "name", g.fqdn(g.label()))
		}
		g.held = true
		s.save(g)
	case groupCollision:
		s.conflict(g)
	case groupFailure:
		s.log.Warn("avahi-daemon failed to publish a name", "name", g.label(), "reason", reason)
		g.failed, g.held = true, false
		s.retryAt(time.Now().Add(retryAfter))
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
