package browse

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/grandcat/zeroconf"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// What a stranger may make us keep.
const (
	maxInstances = 1000
	maxHosts     = 1000
	maxAddrs     = 32 // of a host
)

// catalog puts together what many packets say. Safe for concurrent use.
type catalog struct {
	typ  string
	name wire.Name // folded

	mu        sync.Mutex // guards all following fields
	instances map[wire.Name]*instance
	hosts     map[wire.Name][]netip.Addr
}

// instance is a service as far as it is known.
type instance struct {
	name  wire.Name
	host  wire.Name // "" until its SRV record came
	port  uint16
	txt   []string
	known bool // its TXT record came
	iface string
}

// wanted is what has to be asked to complete an instance.
type wanted struct {
	name wire.Name
	typ  uint16
}

func newCatalog(typ string, name wire.Name) *catalog {
	return &catalog{typ: typ, name: name.Fold(), instances: map[wire.Name]*instance{}, hosts: map[wire.Name][]netip.Addr{}}
}

// enter takes every record of a response, pointers first, and returns what is
// still missing.
func (c *catalog) enter(m *wire.Message, iface string) []wanted {
	c.mu.Lock()
	defer c.mu.Unlock()
	records := slices.Concat(m.Answers, m.Additionals)
	for _, pass := range []func(*wire.Record, []byte, string){c.enterPointer, c.enterInstance, c.enterAddress} {
		for i := range records {
			if data, err := m.Data(&records[i]); err == nil && records[i].TTL > 0 {
				pass(&records[i], data, iface)
			}
		}
	}
	return c.missing()
}

func (c *catalog) enterPointer(r *wire.Record, data []byte, iface string) {
	if r.Type == wire.TypePTR && wire.Name(r.Key) == c.name {
		c.instance(wire.Name(data), iface)
	}
}

// instance returns the instance of that name, which is new or known; nil if
// there are too many.
func (c *catalog) instance(name wire.Name, iface string) *instance {
	key := name.Fold()
	i := c.instances[key]
	if i == nil && len(c.instances) < maxInstances {
		i = &instance{name: name}
		c.instances[key] = i
	}
	if i != nil && i.iface == "" {
		i.iface = iface
	}
	return i
}

func (c *catalog) enterInstance(r *wire.Record, data []byte, _ string) {
	i := c.instances[wire.Name(r.Key)]
	if i == nil {
		return
	}
	switch r.Type {
	case wire.TypeSRV:
		if len(data) > 6 {
			i.port, i.host = binary.BigEndian.Uint16(data[4:]), wire.Name(data[6:])
		}
	case wire.TypeTXT:
		i.txt, i.known = texts(data), true
	}
}

// enterAddress keeps the addresses of hosts that a service is on.
func (c *catalog) enterAddress(r *wire.Record, data []byte, iface string) {
	addr, ok := netip.AddrFromSlice(data)
	if ok && (r.Type == wire.TypeA || r.Type == wire.TypeAAAA) && c.isHost(wire.Name(r.Key)) {
		c.enterAddr(wire.Name(r.Key), addr, iface)
	}
}

func (c *catalog) enterAddr(host wire.Name, addr netip.Addr, iface string) {
	if len(c.hosts) >= maxHosts && c.hosts[host] == nil {
		return
	}
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(iface)
	}
	if list := c.hosts[host]; len(list) < maxAddrs && !slices.Contains(list, addr) {
		c.hosts[host] = append(list, addr)
	}
}

// enterEntry takes a service that zeroconf has put together. What is known
// already stays; zeroconf keeps no account of what it has heard where.
func (c *catalog) enterEntry(name wire.Name, e *zeroconf.ServiceEntry, interfaces []discovery.Interface) {
	host, err := parseName(e.HostName)
	if err != nil || e.HostName == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	addrs := entryAddrs(e)
	iface := foundOn(addrs, interfaces)
	i := c.instance(name, iface)
	if i == nil {
		return
	}
	if i.host == "" {
		i.host, i.port = host, uint16(e.Port)
	}
	if !i.known && len(e.Text) > 0 {
		i.known = true
		for _, text := range e.Text {
			i.txt = appendText(i.txt, unescape(text))
		}
	}
	for _, addr := range addrs {
		if !addr.IsLinkLocalUnicast() || addr.Is4() || iface != "" {
			c.enterAddr(host.Fold(), addr, iface)
		}
	}
}

// foundOn is the interface that reaches the addresses, "" where that is not
// known: zeroconf does not tell.
func foundOn(addrs []netip.Addr, interfaces []discovery.Interface) string {
	if len(interfaces) == 1 {
		return interfaces[0].Name
	}
	for _, ifi := range interfaces {
		for _, p := range ifi.Addresses {
			if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.IsLinkLocalUnicast() && p.Contains(a) }) {
				return ifi.Name
			}
		}
	}
	return ""
}

func (c *catalog) isHost(name wire.Name) bool {
	for _, i := range c.instances {
		if i.host.Fold() == name {
			return true
		}
	}
	return false
}

// texts are the strings of a TXT record (RFC 6763 §6.1), empty ones left out.
func texts(data []byte) []string {
	var list []string
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		list = appendText(list, string(data[1:1+n]))
		data = data[1+n:]
	}
	return list
}

func appendText(list []string, text string) []string {
	if text == "" {
		return list
	}
	return append(list, text)
}

func (c *catalog) missing() []wanted {
	var list []wanted
	for _, i := range c.instances {
		switch {
		case i.host == "":
			list = append(list, wanted{i.name, wire.TypeSRV})
		case len(c.hosts[i.host.Fold()]) == 0:
			list = append(list, wanted{i.host, wire.TypeA}, wanted{i.host, wire.TypeAAAA})
		}
		if !i.known {
			list = append(list, wanted{i.name, wire.TypeTXT})
		}
	}
	return list
}

// services are the instances whose host is known.
func (c *catalog) services() []Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []Service{}
	for _, i := range c.instances {
		labels := i.name.Labels()
		if i.host == "" || len(labels) == 0 {
			continue
		}
		addrs := slices.Clone(c.hosts[i.host.Fold()])
		slices.SortFunc(addrs, func(a, b netip.Addr) int {
			if d := a.BitLen() - b.BitLen(); d != 0 {
				return d
			}
			return a.Compare(b)
		})
		list = append(list, Service{
			Instance: labels[0], Type: c.typ, Host: strings.Join(i.host.Labels(), "."), Port: i.port,
			TXT: i.txt, Addrs: addrs, Interface: i.iface,
		})
	}
	slices.SortFunc(list, func(a, b Service) int { return strings.Compare(a.Instance, b.Instance) })
	return list
}
