package browse

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"server22.local/appliance/discovery/internal/wire"
)

// missing is what has to be asked to complete the services.
func (c *cache) missing() (list []wanted) {
	seen := make(map[wanted]bool)
	want := func(name wire.Name, typ uint16) {
		if w := (wanted{name, typ}); !seen[w] {
			seen[w] = true
			list = append(list, w)
		}
	}
	for _, p := range c.sets[setKey{c.name, wire.TypePTR}] {
		instance := wire.Name(p.data)
		srv := c.latest(instance, wire.TypeSRV)
		switch {
		case srv == nil:
			want(instance, wire.TypeSRV)
		case c.latest(target(srv), wire.TypeA) == nil && c.latest(target(srv), wire.TypeAAAA) == nil:
			want(target(srv), wire.TypeA)
			want(target(srv), wire.TypeAAAA)
		}
		if c.latest(instance, wire.TypeTXT) == nil {
			want(instance, wire.TypeTXT)
		}
	}
	return list
}

// services are the instances whose host is known, in the order of their names.
func (c *cache) services() []Service {
	list := []Service{}
	seen := make(map[wire.Name]bool)
	for _, p := range c.sets[setKey{c.name, wire.TypePTR}] {
		name := wire.Name(p.data)
		labels := name.Labels()
		srv := c.latest(name, wire.TypeSRV)
		if srv == nil || len(labels) == 0 || target(srv) == "" || seen[name.Fold()] {
			continue
		}
		seen[name.Fold()] = true
		s := Service{
			Instance: labels[0], Type: c.typ, Host: strings.Join(target(srv).Labels(), "."),
			Port: binary.BigEndian.Uint16(srv.data[4:]), Addrs: c.addresses(target(srv)), Interface: c.ifaceOf(name),
		}
		if txt := c.latest(name, wire.TypeTXT); txt != nil {
			s.TXT = texts(txt.data)
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Service) int { return strings.Compare(a.Instance, b.Instance) })
	return list
}

// ifaceOf is where an instance was found first, as far as that is known.
func (c *cache) ifaceOf(instance wire.Name) string {
	for _, p := range c.sets[setKey{c.name, wire.TypePTR}] {
		if p.iface != "" && wire.SameData(wire.TypePTR, p.data, []byte(instance)) {
			return p.iface
		}
	}
	return ""
}

// addresses are those of a host, of IPv4 first.
func (c *cache) addresses(host wire.Name) (addrs []netip.Addr) {
	for _, typ := range []uint16{wire.TypeA, wire.TypeAAAA} {
		for _, r := range c.sets[setKey{host.Fold(), typ}] {
			addr, ok := netip.AddrFromSlice(r.data)
			if ok && addr.Is6() && addr.IsLinkLocalUnicast() {
				addr = addr.WithZone(r.iface)
			}
			if ok && !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	slices.SortFunc(addrs, func(a, b netip.Addr) int {
		return cmp.Or(a.BitLen()-b.BitLen(), a.Compare(b))
	})
	return addrs
}

// texts are the strings of a TXT record (RFC 6763 §6.1), empty ones left out.
func texts(data []byte) (list []string) {
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		if n > 0 {
			list = append(list, string(data[1:1+n]))
		}
		data = data[1+n:]
	}
	return list
}
