package llmnr

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"server22.local/appliance/discovery"
)

// Sockets that cannot be opened are tried again, less and less often.
const (
	minReopen = time.Second
	maxReopen = 30 * time.Second
)

// maxDatagram is the most that is read and sent over UDP, in bytes.
const maxDatagram = 1452

// A link is one interface in one address family. Another name or other
// addresses make another link.
type link struct {
	r    *Responder
	ifi  discovery.Interface
	fam  family
	name string
	zone zone
	log  *slog.Logger

	recheck chan struct{} // holds one token when the name is doubted
	stop    context.CancelFunc
	tasks   sync.WaitGroup

	mu       sync.Mutex // guards all following fields
	phase    Phase
	rival    netip.Addr
	problems map[string]string // of each socket
}

func newLink(r *Responder, ifi discovery.Interface, fam family, name string) *link {
	l := &link{
		r: r, ifi: ifi, fam: fam, name: name, zone: zone{name: name},
		log:     r.cfg.Logger.With("iface", ifi.Name, "family", fam.String()),
		recheck: make(chan struct{}, 1),
		phase:   Checking, problems: make(map[string]string),
	}
	for _, p := range ifi.Addresses {
		l.zone.addresses = append(l.zone.addresses, p.Addr())
	}
	return l
}

// own are the interface's addresses of the link's family.
func (l *link) own() (list []netip.Addr) {
	for _, addr := range l.zone.addresses {
		if l.fam.of(addr) {
			list = append(list, addr)
		}
	}
	return list
}

// same says whether nothing has changed for the link.
func (l *link) same(old *link) bool {
	return l.name == old.name && l.ifi.Name == old.ifi.Name && slices.Equal(l.ifi.Addresses, old.ifi.Addresses)
}

// inherit takes over the name if it was held: another address does not make it
// less unique.
func (l *link) inherit(old *link) {
	if state := old.state(); l.name == old.name && state.Phase == Held {
		l.phase = Held
	}
}

func (l *link) start(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	l.tasks.Go(func() { l.reopening(ctx, "UDP", l.serveUDP) })
	for _, addr := range l.own() {
		serve := func(ctx context.Context) error { return l.serveTCP(ctx, addr) }
		l.tasks.Go(func() { l.reopening(ctx, "TCP "+addr.String(), serve) })
	}
	l.tasks.Go(func() { l.keepUnique(ctx) })
}

func (l *link) end() {
	l.stop()
	l.tasks.Wait()
}

// reopening serves, and tries again where that fails.
func (l *link) reopening(ctx context.Context, socket string, serve func(context.Context) error) {
	for wait := minReopen; ; wait = min(2*wait, maxReopen) {
		began := time.Now()
		err := serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > maxReopen {
			wait = minReopen
		}
		l.report(socket, err)
		if !pause(ctx, wait) {
			return
		}
	}
}

// serveUDP answers what is multicast on the link. What is sent to one of our
// addresses over UDP is none of it (RFC 4795 §2.4).
func (l *link) serveUDP(ctx context.Context) error {
	s, err := l.r.cfg.platform.multicast(l.ifi, l.fam)
	if err != nil {
		return err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	l.report("UDP", nil)
	buf := make([]byte, maxDatagram)
	for failures := 0; failures < 10; {
		n, from, err := s.receive(buf)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			failures++
			continue
		}
		failures = 0
		if reply := l.reply(buf[:n], from.Addr()); reply != nil {
			if err := s.send(reply, from); err != nil {
				l.log.Debug("an answer was not sent", "to", from, "err", err)
			}
		}
	}
	return errors.New("receiving fails")
}

// reply is the datagram that answers another, nil if there is none.
func (l *link) reply(b []byte, from netip.Addr) []byte {
	if !l.onLink(from) {
		return nil
	}
	query, ok := parseQuery(b)
	if !ok {
		return nil
	}
	if conflictBit(query) {
		if l.zone.isName(query.Question[0].Name) {
			l.doubt()
		}
		return nil
	}
	response := l.respond(query)
	if response == nil {
		return nil
	}
	packet, err := datagram(query, response)
	if err != nil {
		l.log.Debug("an answer was not composed", "err", err)
	}
	return packet
}

// respond composes the response to a query as the name stands on the link, nil
// if there is none: who has lost the name is silent (RFC 4795 §4.1).
func (l *link) respond(query *dns.Msg) *dns.Msg {
	phase := l.state().Phase
	response := l.zone.answer(query)
	if response == nil || phase == Conflict {
		return nil
	}
	response.RecursionDesired = phase == Checking // the T bit
	return response
}

// doubt has the name checked again: a client heard of two hosts that have it
// (§4.2).
func (l *link) doubt() {
	select {
	case l.recheck <- struct{}{}:
	default:
	}
}

// onLink says whether an address is reached directly from the interface.
func (l *link) onLink(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(l.ifi.Addresses, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (l *link) state() LinkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LinkState{Interface: l.ifi.Name, Family: l.fam.String(), Phase: l.phase, Rival: l.rival, Problem: l.problem()}
}

// settle notes what a check found.
func (l *link) settle(phase Phase, rival netip.Addr) {
	l.mu.Lock()
	changed := l.phase != phase || l.rival != rival
	l.phase, l.rival = phase, rival
	l.mu.Unlock()
	if !changed {
		return
	}
	if phase == Conflict {
		l.log.Warn("another host has the bare name; it is not answered", "name", l.name, "rival", rival)
	} else {
		l.log.Info("the bare name is answered", "name", l.name)
	}
	l.r.publish()
}

// report notes how opening a socket went.
func (l *link) report(socket string, err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	l.mu.Lock()
	changed := l.problems[socket] != problem
	l.problems[socket] = problem
	l.mu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		l.log.Warn("the link has a problem", "err", err)
	}
	l.r.publish()
}

// problem is what is wrong with one of the sockets, the first by name.
func (l *link) problem() string {
	for _, socket := range slices.Sorted(maps.Keys(l.problems)) {
		if problem := l.problems[socket]; problem != "" {
			return problem
		}
	}
	return ""
}
