package avahi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/miekg/dns"

	"server22.local/appliance/discovery"
)

// Slowing down where name after name is taken (RFC 6762 §8.1).
const (
	maxConflicts  = 15
	conflictPause = 5 * time.Second
)

// publishHost sees to the host's name and returns it.
func (s *session) publishHost(ctx context.Context, name string, interfaces []discovery.Interface) string {
	switch s.p.cfg.Host {
	case Own:
		return s.ownHost(s.host)
	case Rename:
		s.rename(ctx, name)
		return s.ownHost(name)
	}
	return s.publish(ctx, key{discovery.HostName, name, ""}, func(label string) []call {
		if strings.EqualFold(label, s.host) {
			return nil // Avahi has that name with all addresses
		}
		return addresses(label, interfaces)
	})
}

// ownHost is Avahi's own name in place of the wanted one.
func (s *session) ownHost(wanted string) string {
	g := s.group(key{discovery.HostName, wanted, ""})
	g.own, g.held = s.host, true
	return s.host
}

// rename asks Avahi to call the host by our name. If another host has that,
// Avahi finds the next by itself, and is not asked again.
func (s *session) rename(ctx context.Context, name string) {
	if s.renamed == name || strings.EqualFold(s.host, name) {
		return
	}
	s.renamed = name
	err := s.conn.Object(service, "/").CallWithContext(ctx, serverInterface+".SetHostName", 0, name).Err
	if err != nil {
		s.log.Warn("avahi-daemon does not rename the host; that takes root, or the group netdev", "name", name, "err", err)
		return
	}
	s.running = false // until it has the name
}

// group returns the group of a key, which is new or known.
func (s *session) group(k key) *group {
	s.order = append(s.order, k)
	g := s.groups[k]
	if g == nil {
		g = &group{key: k, number: 1}
		s.load(g)
		s.groups[k] = g
	}
	return g
}

// publish brings one group up to date, and returns the label in use.
func (s *session) publish(ctx context.Context, k key, entries func(label string) []call) string {
	g := s.group(k)
	for range maxConflicts {
		if g.number == 0 && time.Now().Before(g.retry) {
			return ""
		}
		g.number = max(g.number, 1)
		calls := entries(g.label())
		if g.path != "" && sameCalls(g.calls, calls) {
			s.watchRival(ctx, g)
			s.tryWanted(ctx, g, entries)
			return g.label()
		}
		ours := g.held && g.path != ""
		s.withdraw(ctx, g)
		if len(calls) == 0 {
			g.calls, g.held = nil, k.kind == discovery.HostName && strings.EqualFold(g.label(), s.host)
			return g.label()
		}
		var err error
		if g.path, err = s.commit(ctx, calls, ours); err == nil {
			g.calls = calls
			return g.label()
		}
		if !isCollision(err) {
			s.log.Warn("avahi-daemon does not take a name", "name", g.label(), "err", err)
			s.retryAt(time.Now().Add(retryAfter))
			return g.label()
		}
		s.conflict(g) // something else on this host has it
	}
	s.retryAt(time.Now().Add(conflictPause))
	return g.label()
}

func isCollision(err error) bool {
	failure, ok := errors.AsType[dbus.Error](err)
	return ok && failure.Name == collisionError
}

// commit publishes the entries as a new group, so that what Avahi still says
// of an older one cannot be mistaken for news of this. A name that is ours
// already is not probed for.
func (s *session) commit(ctx context.Context, calls []call, ours bool) (path dbus.ObjectPath, err error) {
	err = s.conn.Object(service, "/").CallWithContext(ctx, serverInterface+".EntryGroupNew", 0).Store(&path)
	if err != nil {
		return "", err
	}
	object := s.conn.Object(service, path)
	for _, c := range calls {
		if ours {
			c = c.unprobed()
		}
		if err := object.CallWithContext(ctx, groupInterface+"."+c.method, 0, c.args...).Err; err != nil {
			s.free(ctx, path)
			return "", err
		}
	}
	if err := object.CallWithContext(ctx, groupInterface+".Commit", 0).Err; err != nil {
		s.free(ctx, path)
		return "", err
	}
	return path, nil
}

func (s *session) free(ctx context.Context, path dbus.ObjectPath) {
	if path != "" {
		// A failure means that Avahi has none of it any more.
		_ = s.conn.Object(service, path).CallWithContext(ctx, groupInterface+".Free", 0).Err
	}
}

func (s *session) withdraw(ctx context.Context, g *group) {
	s.free(ctx, g.path)
	s.free(ctx, g.trial.path)
	g.path, g.held, g.trial = "", false, entry{}
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
			s.unwatchRival(ctx, g)
			delete(s.groups, k)
		}
	}
}

func (s *session) conflict(g *group) {
	before := g.label()
	g.next(time.Now().Add(s.p.cfg.Retry))
	s.log.Warn("the name is taken", "name", before, "next", g.label())
}

// tryWanted publishes the configured name too, when its time has come, while
// another is in use.
func (s *session) tryWanted(ctx context.Context, g *group, entries func(label string) []call) {
	if g.retry.IsZero() || time.Now().Before(g.retry) || g.trial.path != "" || !g.held {
		return
	}
	calls := entries(g.wanted)
	path, err := s.commit(ctx, calls, false)
	if err != nil || len(calls) == 0 {
		g.retry = time.Now().Add(s.p.cfg.Retry)
		return
	}
	g.trial = entry{calls, path}
}

// tried puts the configured name to use if it is ours now.
func (s *session) tried(ctx context.Context, g *group, state int32) {
	switch state {
	case groupEstablished:
		s.free(ctx, g.path)
		s.unwatchRival(ctx, g)
		g.entry, g.trial = g.trial, entry{}
		g.number, g.retry = 1, time.Time{}
		s.log.Info("the configured name is ours again", "name", g.fqdn(g.label()))
		s.save(g)
	case groupCollision, groupFailure:
		s.free(ctx, g.trial.path)
		g.trial = entry{}
		g.retry = time.Now().Add(s.p.cfg.Retry)
	}
}

// patienceAfterLeave is how long caches keep what was withdrawn (RFC 6762
// §10.1).
const patienceAfterLeave = time.Second

// watchRival has Avahi tell when the host that has the configured name leaves
// it, by a goodbye or by silence.
func (s *session) watchRival(ctx context.Context, g *group) {
	if g.retry.IsZero() || g.rival != "" || !g.held {
		return
	}
	typ := dns.TypeA
	if g.kind == discovery.ServiceName {
		typ = dns.TypeSRV
	}
	err := s.conn.Object(service, "/").CallWithContext(ctx, serverInterface+".RecordBrowserNew", 0,
		int32(-1), anyProtocol, strings.TrimSuffix(g.fqdn(g.wanted), "."), uint16(dns.ClassINET), typ, uint32(0)).Store(&g.rival)
	if err != nil {
		s.log.Debug("the rival is not watched", "name", g.wanted, "err", err)
	}
}

func (s *session) unwatchRival(ctx context.Context, g *group) {
	if g.rival != "" {
		_ = s.conn.Object(service, g.rival).CallWithContext(ctx, recordInterface+".Free", 0).Err // it may have ended
		g.rival = ""
	}
}

// rivalLeft tries for the configured name as soon as caches have dropped it.
func (s *session) rivalLeft(path dbus.ObjectPath) {
	for _, g := range s.groups {
		if g.rival == path && g.trial.path == "" {
			g.retry = time.Now().Add(patienceAfterLeave)
		}
	}
}

// load begins with the name that was won before.
func (s *session) load(g *group) {
	g.saved = g.fqdn(g.wanted)
	won, err := s.p.cfg.Store.Load(g.saved)
	if err != nil {
		s.log.Warn("the names won before cannot be read", "err", err)
	}
	if n, ok := g.kind.Number(g.wanted, discovery.NameState{Name: won}.Label()); won != "" && ok && n > 1 {
		g.number, g.saved = n, won
		g.retry = time.Now().Add(s.p.cfg.Retry)
	}
}

// save remembers the name in use.
func (s *session) save(g *group) {
	name := g.fqdn(g.label())
	if g.saved == name {
		return
	}
	if err := s.p.cfg.Store.Save(g.fqdn(g.wanted), name); err != nil {
		s.log.Warn("the name cannot be remembered", "name", name, "err", err)
		return
	}
	g.saved = name
}
