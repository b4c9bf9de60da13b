package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/neighbour"
	"server22.local/appliance/internal/health"
)

// lookAroundEvery is how often the programs beside us are looked for, which
// come and go without telling. It costs about a millisecond.
const lookAroundEvery = time.Minute

// followNeighbours keeps in health which other programs of this host answer
// for names, or keep us from it, and gets out of their way.
func (a *App) followNeighbours(ctx context.Context) error {
	ticks := time.NewTicker(lookAroundEvery)
	defer ticks.Stop()
	for {
		moved := a.moves()
		beside := avahiRuns()
		a.responder.SetMulticastOnly(beside)
		a.setOrClear("avahi-beside", a.besideCondition(beside))
		a.reportNeighbours(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		case <-moved:
		}
	}
}

func (a *App) reportNeighbours(ctx context.Context) {
	filter := linkFilter(a.cfg().Discovery.Interfaces)
	resolved := neighbour.FindResolved(ctx, "", usableLinks(linksFor(a.site.Load().snapshot), filter))
	holders, err := neighbour.Holders(neighbour.MulticastDNS, neighbour.NetBIOS)
	if err != nil {
		a.log.Debug("the ports of others are not known", "err", err)
	}
	a.setOrClear("resolved-mdns", a.resolvedCondition(resolved.MulticastDNS, "multicast DNS", "MulticastDNS"))
	if a.llmnr != nil {
		a.setOrClear("resolved-llmnr", a.resolvedCondition(resolved.LLMNR, "LLMNR", "LLMNR"))
	}
	a.setOrClear("netbios", a.netBIOSCondition(holders))
	a.setOrClear("mdns-port", a.portCondition(holders))
}

// besideCondition is that of an Avahi through which we do not publish.
func (a *App) besideCondition(beside bool) *health.Condition {
	if !beside || a.throughAvahi.Load() {
		return nil
	}
	return &health.Condition{
		Code: health.NameByAvahi, Severity: health.Info,
		Text: "avahi-daemon runs beside us, and answers what is sent to this host alone",
		Hint: `discovery.avahi = "auto" publishes through it`,
	}
}

// setOrClear keeps the condition of an ID; nil is none.
func (a *App) setOrClear(id string, c *health.Condition) {
	if c == nil {
		a.health.Clear(id)
		return
	}
	c.ID = id
	a.health.Set(*c)
}

// resolvedCondition is that of a systemd-resolved that answers for the name of
// its host, which is harmless until that is ours.
func (a *App) resolvedCondition(interfaces []string, protocol, key string) *health.Condition {
	if len(interfaces) == 0 {
		return nil
	}
	c := &health.Condition{
		Code: health.NameByResolved, Severity: health.Info,
		Text: fmt.Sprintf("systemd-resolved answers %s too, on %s", protocol, strings.Join(interfaces, ", ")),
		Hint: fmt.Sprintf("it still resolves names with %s=resolve in /etc/systemd/resolved.conf", key),
	}
	if host, err := os.Hostname(); err == nil && strings.EqualFold(host, a.cfg().Name) {
		c.Severity = health.Warning
		c.Text += ", for " + host + ": each question has two answers"
	}
	return c
}

func (a *App) netBIOSCondition(holders []neighbour.Holder) *health.Condition {
	for _, h := range holders {
		if a.nbns != nil && h.Port == neighbour.NetBIOS && h.Network == "udp" {
			return &health.Condition{
				Code: health.NameByNetBIOS, Severity: health.Warning,
				Text: fmt.Sprintf("%s answers NetBIOS names; we do not", cmp.Or(h.Program, "another program")),
				Hint: "turn one of the two off: discovery.nbns = false, or Samba's nmbd",
			}
		}
	}
	return nil
}

// portCondition is that of links on which our responder hears or says nothing.
func (a *App) portCondition(holders []neighbour.Holder) *health.Condition {
	if a.throughAvahi.Load() {
		return nil
	}
	for _, link := range a.responder.State().Links {
		if link.Problem == "" {
			continue
		}
		return &health.Condition{
			Code: health.NameMuted, Severity: health.Warning,
			Text: fmt.Sprintf("nobody finds this by name on %s over %s: %s", link.Interface, link.Family, link.Problem),
			Hint: portHint(link.Problem, holders),
		}
	}
	return nil
}

// portHint says who has the port of multicast DNS, and what helps.
func portHint(problem string, holders []neighbour.Holder) string {
	switch {
	case !strings.Contains(problem, "address already in use"):
		return "'ip route get 224.0.0.251 oif INTERFACE' and the firewall's rules show what forbids it"
	case neighbour.AvahiExclusive(neighbour.AvahiConfig):
		return "remove disallow-other-stacks=yes from " + neighbour.AvahiConfig + `, or publish through Avahi: discovery.avahi = "auto"`
	}
	for _, h := range holders {
		if h.Port == neighbour.MulticastDNS && h.Program != "" {
			return h.Program + " has port 5353 for itself; end it, or let it share the port"
		}
	}
	return "'ss -ulnp sport = :5353' shows which program has the port for itself"
}

// usableLinks are those on which names are answered.
func usableLinks(all []discovery.Interface, filter func(discovery.Interface) bool) (list []discovery.Interface) {
	if filter == nil {
		filter = discovery.DefaultFilter
	}
	for _, ifi := range all {
		if filter(ifi) && ifi.Usable() {
			list = append(list, ifi)
		}
	}
	return list
}
