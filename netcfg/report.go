package netcfg

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"server22.local/appliance/netcfg/dhcp4"
)

// Report is what the configurator knows about its interface, for people and for
// scripts: the names of the JSON are stable.
type Report struct {
	// Wanted is the interface as the settings name it.
	Wanted    string `json:"wanted"`
	Interface string `json:"interface,omitempty"` // "" while it is not there
	MAC       MAC    `json:"mac"`
	Mode      Mode   `json:"mode"`
	// Configures says that we configure the interface: the mode wants it and
	// nobody else does.
	Configures bool   `json:"configures"`
	Owner      *Owner `json:"owner,omitempty"`
	Hostname   string `json:"hostname,omitempty"`
	// ClientID is option 61 in hexadecimal, "" if none is sent.
	ClientID string `json:"client_id,omitempty"`
	Up       bool   `json:"up"`
	Carrier  bool   `json:"carrier"`
	MTU      int    `json:"mtu,omitempty"`
	Addrs    []Addr `json:"addresses,omitempty"`
	// Routes are those that leave by the interface.
	Routes   []Route    `json:"routes,omitempty"`
	Resolver Resolver   `json:"resolver"`
	DHCP     *DHCPState `json:"dhcp,omitempty"`
	// LinkLocal is the address of RFC 3927 that is in use.
	LinkLocal    netip.Addr   `json:"link_local,omitzero"`
	Registration Registration `json:"registration,omitzero"`
	Reservation  Reservation  `json:"reservation"`
	Trial        *Trial       `json:"trial,omitempty"`
	// Problems are what an administrator should know, in sentences.
	Problems []string `json:"problems,omitempty"`
}

// DHCPState is the DHCP client's part of a report.
type DHCPState struct {
	dhcp4.Status
	Server  netip.Addr `json:"server,omitzero"`
	Expires time.Time  `json:"expires,omitzero"`
}

// Report says what is known now. It may be called at any time.
func (c *Configurator) Report() Report {
	c.mu.Lock()
	report := c.report
	client := c.client
	c.mu.Unlock()
	if client != nil {
		status := client.Status()
		report.DHCP = &DHCPState{Status: status}
		if status.Lease != nil {
			report.DHCP.Server, report.DHCP.Expires = status.Lease.Server, status.Lease.Expires()
		}
	}
	return report
}

// publish makes the report that others see.
func (c *Configurator) publish() {
	report := Report{
		Wanted: c.settings.Interface, Mode: c.settings.Mode, Configures: c.configures() && c.link != nil,
		Hostname: c.config.Hostname, Problems: c.problems(),
	}
	latest := c.watcher.Latest()
	report.Resolver = latest.Resolver
	var client *dhcp4.Client
	if a := c.link; a != nil {
		client = a.dhcp
		report.Interface, report.MAC, report.Owner = a.now.Name, a.now.MAC, a.owner
		report.Up, report.Carrier, report.MTU = a.now.Up, a.now.Carrier, a.now.MTU
		report.Addrs, report.Routes = a.now.Addrs, latest.RoutesOf(a.now.Index)
		report.LinkLocal, report.Registration = a.linkLocal, a.registered
		id, _ := dhcp4.ClientID(c.settings.ClientID, a.now.MAC)
		report.ClientID = hex.EncodeToString(id)
		report.Reservation = Reserve(c.config.Hostname, a.now.MAC, a.reservable())
	}
	if c.trial != nil {
		t := c.trial.Trial
		report.Trial = &t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report, c.client = report, client
}

// reservable is the address that a reservation would be for.
func (a *attachment) reservable() netip.Addr {
	if a.lease != nil {
		return a.lease.Prefix.Addr()
	}
	for _, addr := range a.now.Addrs {
		if addr.Prefix.Addr().Is4() && !addr.Prefix.Addr().IsLinkLocalUnicast() {
			return addr.Prefix.Addr()
		}
	}
	return netip.Addr{}
}

// carrierGrace is how long there may be no carrier before it is a problem: two
// ends of a cable take some seconds to agree.
const carrierGrace = 4 * time.Second

func (c *Configurator) problems() []string {
	var list []string
	if c.link == nil {
		if c.settings.Interface == Auto {
			return append(list, "no network interface is found")
		}
		return append(list, fmt.Sprintf("the interface %s is not there", c.settings.Interface))
	}
	a := c.link
	if a.owner != nil && c.settings.Mode != ModeObserve {
		list = append(list, fmt.Sprintf("%s configures %s, so mode %q is not in force: %s", a.owner.Name, a.now.Name, c.settings.Mode, a.owner.Evidence))
	}
	if !a.now.Carrier && time.Since(a.lostCarrier) > carrierGrace {
		list = append(list, a.now.Name+" has no carrier: is the cable in?")
	}
	for prefix, s := range a.statics {
		if problem := s.problem(prefix); problem != "" {
			list = append(list, problem)
		}
	}
	for _, addr := range a.now.Addrs {
		if addr.Duplicate {
			list = append(list, fmt.Sprintf("the address %v is not used: another host has it", addr.Prefix))
		}
	}
	if a.registered.State == "other" {
		list = append(list, fmt.Sprintf("the name %s belongs to another address: %v", a.registered.Name, a.registered.Addrs))
	}
	if c.lastRevert != "" {
		list = append(list, "the last change of settings was reverted: "+c.lastRevert)
	}
	if c.quarrel.hot(time.Now()) {
		list = append(list, errQuarrel.Error())
	}
	for _, problem := range []string{c.failing, c.unwritten, c.untold} {
		if problem != "" {
			list = append(list, strings.ReplaceAll(problem, "\n", "; "))
		}
	}
	return list
}
