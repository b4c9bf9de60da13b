package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/browse"
	"server22.local/appliance/discovery/neighbour"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/netcfg"
)

// seenPatience is how long an interface has to show our name. It is used up
// only where the name is not found.
const seenPatience = 3 * time.Second

// names looks for the running daemon as its neighbours do, with a stack that
// is not ours, and says why they would not find it.
func (e Examination) names(ctx context.Context, snapshot *netcfg.Snapshot) []Finding {
	if e.Loaded == nil || e.Status == nil || !slices.ContainsFunc(e.Status.URLs, isForOthers) {
		return nil // what is only for this machine is not announced
	}
	if !e.Loaded.Discovery.Enabled {
		return []Finding{{health.NameOff, "name", "info", "nobody is told the name: discovery is off", "appliance config set discovery.enabled=true"}}
	}
	interfaces := usableLinks(linksFor(snapshot), linkFilter(e.Loaded.Discovery.Interfaces))
	findings := muteLinks(snapshot)
	if len(interfaces) == 0 {
		findings = append(findings, Finding{health.NameOff, "name", "warning", "nobody is told the name: no interface is in use for that", "'appliance net show' tells more; discovery.interfaces chooses"})
	}
	for _, ifi := range interfaces {
		if len(ifi.Addresses) > 0 {
			findings = append(findings, e.seen(ctx, ifi))
			findings = append(findings, slowLink(ifi)...)
		}
	}
	return append(findings, tunnels(snapshot)...)
}

// isForOthers says whether a URL opens on other machines.
func isForOthers(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err != nil && u.Hostname() != "localhost" || err == nil && !addr.IsLoopback()
}

// seen asks on one interface.
func (e Examination) seen(ctx context.Context, ifi discovery.Interface) Finding {
	ctx, cancel := context.WithTimeout(ctx, seenPatience)
	defer cancel()
	f := Finding{Code: health.NameFine, Subject: "name on " + ifi.Name, Verdict: "ok"}
	var seen, missed []string
	var failed error
	for _, s := range browse.Seen(ctx, ifi, e.Status.Name, pagesType) {
		if len(s.Addrs) > 0 {
			seen = append(seen, s.Family)
		} else {
			missed = append(missed, s.Family)
			failed = errors.Join(failed, s.Err)
		}
	}
	if len(missed) == 0 {
		f.Text = fmt.Sprintf("%s.local is found over %s", e.Status.Name, strings.Join(seen, " and "))
		return f
	}
	f.Code, f.Verdict = health.NameUnseen, "warning"
	f.Text = fmt.Sprintf("%s.local is not found over %s", e.Status.Name, strings.Join(missed, " and "))
	if len(seen) > 0 {
		f.Text += ", only over " + strings.Join(seen, " and ")
	}
	var reason string
	if reason, f.Hint = whyUnseen(ifi, missed, failed); reason != "" {
		f.Text += ": " + reason
	}
	return f
}

// whyUnseen looks for the reason, from the most certain to the most likely.
func whyUnseen(ifi discovery.Interface, families []string, failed error) (reason, hint string) {
	switch {
	case errors.Is(failed, syscall.EADDRINUSE):
		holders, _ := neighbour.Holders(neighbour.MulticastDNS) // without, the hint says how to look
		return "another program has port 5353 for itself", portHint("address already in use", holders)
	case failed != nil:
		return failed.Error(), ""
	}
	for _, family := range families {
		group := net.IPv4(224, 0, 0, 251)
		if family == "IPv6" {
			group = net.ParseIP("ff02::fb")
		}
		_, err := netlink.RouteGetWithOptions(group, &netlink.RouteGetOptions{Oif: ifi.Name})
		if err != nil {
			return fmt.Sprintf("the routes forbid multicast: %v", err), fmt.Sprintf("'ip route get %s oif %s' shows it", group, ifi.Name)
		}
	}
	return "a firewall on this machine?", firewallHint()
}

// firewallHint is how to let multicast DNS in.
func firewallHint() string {
	if b, err := os.ReadFile("/etc/ufw/ufw.conf"); err == nil && strings.Contains(string(b), "ENABLED=yes") {
		return "ufw allow 5353/udp"
	}
	if _, err := os.Stat("/run/firewalld"); err == nil {
		return "firewall-cmd --permanent --add-service=mdns && firewall-cmd --reload"
	}
	return "let UDP port 5353 in; 'nft list ruleset' shows what forbids it"
}

// muteLinks are those that could have the name and have no multicast.
func muteLinks(snapshot *netcfg.Snapshot) (findings []Finding) {
	for _, link := range (site{snapshot: snapshot}).links() {
		if link.Carrier && !link.Multicast && !link.PointToPoint {
			findings = append(findings, Finding{health.NameUnseen, "name on " + link.Name, "warning", "multicast is off there", "ip link set " + link.Name + " multicast on"})
		}
	}
	return findings
}

// slowLink tells where clients may wait for IPv6 addresses that do not come:
// those that take our denial do not, and not all do.
func slowLink(ifi discovery.Interface) []Finding {
	for _, p := range ifi.Addresses {
		if p.Addr().Is6() {
			return nil
		}
	}
	return []Finding{{health.NameSlow, "name on " + ifi.Name, "info", "there is no IPv6 address, for which some clients wait 5 s", "sysctl net.ipv6.conf." + ifi.Name + ".disable_ipv6=0"}}
}

// tunnels are those that take all traffic, and with it the clients that come
// through them.
func tunnels(snapshot *netcfg.Snapshot) (findings []Finding) {
	for _, link := range snapshot.Links {
		whole := slices.ContainsFunc(snapshot.Routes, func(r netcfg.Route) bool { return r.Link == link.Index && r.Dst.Bits() <= 1 })
		if whole && link.Up && (link.PointToPoint || !link.Multicast) && !link.Loopback {
			findings = append(findings, Finding{health.NameByVPN, "name on " + link.Name, "info", "this tunnel takes all traffic; names in .local do not go through it", "who comes through the tunnel uses the address"})
		}
	}
	return findings
}
