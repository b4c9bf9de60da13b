package netcfg

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"server22.local/appliance/netcfg/dhcp4"
)

// Registration says whether the name servers of a lease know us by our name.
type Registration struct {
	// State is "yes", "no", "other" (the name has another address), or "" as
	// long as it is not known.
	State string `json:"state,omitempty"`
	// Name is what was asked for.
	Name string `json:"name,omitempty"`
	// Addrs are the addresses that the name has.
	Addrs []netip.Addr `json:"addresses,omitempty"`
	// Reverse is the name that our address has.
	Reverse string     `json:"reverse,omitempty"`
	Server  netip.Addr `json:"server,omitzero"`
	// Error is why it is not known.
	Error   string    `json:"error,omitempty"`
	Checked time.Time `json:"checked,omitzero"`
}

// registrationChecks is when the name servers are asked after a lease: servers
// take a while to tell each other (DDNS).
var registrationChecks = []time.Duration{
	time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 10 * time.Minute,
}

// checkRegistration asks the leased name servers about us, beside everything
// else.
func (a *attachment) checkRegistration(lease *dhcp4.Lease) {
	a.checking.abandon()
	a.checking, a.registered = nil, Registration{}
	if lease == nil || len(lease.DNS) == 0 || a.c.config.Hostname == "" {
		return
	}
	name := registeredName(a.c.config.Hostname, lease)
	a.checking = a.c.start(func(ctx context.Context) {
		for _, wait := range registrationChecks {
			if !sleep(ctx, wait) {
				return
			}
			r := askRegistration(ctx, name, lease.Prefix.Addr(), lease.DNS)
			if ctx.Err() != nil {
				return
			}
			_ = a.c.do(ctx, func() error {
				a.registered = r
				a.c.publish()
				return nil
			})
			if r.State == "yes" {
				a.c.config.Logger.Info("the name is registered", "name", r.Name, "addr", lease.Prefix.Addr(), "server", r.Server)
				return
			}
		}
	})
}

// registeredName is the name that a server most likely registers us by.
func registeredName(hostname string, lease *dhcp4.Lease) string {
	switch {
	case strings.Contains(lease.FQDN, "."):
		return lease.FQDN
	case strings.Contains(hostname, ".") || lease.Domain == "":
		return hostname
	}
	return hostname + "." + lease.Domain
}

// askRegistration asks one server after the other until one answers.
func askRegistration(ctx context.Context, name string, addr netip.Addr, servers []netip.Addr) (r Registration) {
	for _, server := range servers {
		r = Registration{Name: name, Server: server, Checked: time.Now()}
		addrs, err := queryAddrs(ctx, server, name)
		if err != nil {
			r.Error = err.Error()
			continue
		}
		r.Addrs = addrs
		r.Reverse, _ = queryName(ctx, server, addr) // a missing PTR is seen by its absence
		switch {
		case slices.Contains(addrs, addr):
			r.State = "yes"
		case len(addrs) > 0:
			r.State = "other"
		default:
			r.State = "no"
		}
		return r
	}
	return r
}

func queryAddrs(ctx context.Context, server netip.Addr, name string) ([]netip.Addr, error) {
	answer, err := query(ctx, server, dns.Fqdn(name), dns.TypeA)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, record := range answer.Answer {
		if a, ok := record.(*dns.A); ok {
			addrs = append(addrs, addrFrom(a.A))
		}
	}
	return addrs, nil
}

func queryName(ctx context.Context, server, addr netip.Addr) (string, error) {
	reverse, err := dns.ReverseAddr(addr.String())
	if err != nil {
		return "", err
	}
	answer, err := query(ctx, server, reverse, dns.TypePTR)
	if err != nil {
		return "", err
	}
	for _, record := range answer.Answer {
		if ptr, ok := record.(*dns.PTR); ok {
			return strings.TrimSuffix(ptr.Ptr, "."), nil
		}
	}
	return "", nil
}

const queryTime = 2 * time.Second

// query asks one question; it ends with ctx, which the client alone does not.
func query(ctx context.Context, server netip.Addr, name string, kind uint16) (*dns.Msg, error) {
	client := &dns.Client{Timeout: queryTime}
	conn, err := client.DialContext(ctx, net.JoinHostPort(server.String(), "53"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	answer, _, err := client.ExchangeWithConnContext(ctx, new(dns.Msg).SetQuestion(name, kind), conn)
	return answer, err
}
