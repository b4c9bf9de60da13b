package browse

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/grandcat/zeroconf"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// A catalog is what all who search at the same time have found. Safe for
// concurrent use.
type catalog struct {
	typ string

	mu    sync.Mutex // guards all following fields
	cache *cache
}

// wholeSearch is longer than anybody waits: what was found in a search stays
// found, unless it is withdrawn.
const wholeSearch = 24 * time.Hour

func newCatalog(typ string, name wire.Name) *catalog {
	return &catalog{typ: typ, cache: newCache(typ, name, wholeSearch)}
}

// enter takes every record of a response, and returns what is still missing.
func (c *catalog) enter(m *wire.Message, iface string) []wanted {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.enter(time.Now(), m, iface)
	return c.cache.missing()
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
	c.learn(c.cache.name, wire.TypePTR, []byte(name), iface)
	if c.cache.latest(name, wire.TypeSRV) == nil {
		srv := binary.BigEndian.AppendUint16(make([]byte, 4), uint16(e.Port))
		c.learn(name, wire.TypeSRV, append(srv, host...), iface)
	}
	if c.cache.latest(name, wire.TypeTXT) == nil && len(e.Text) > 0 {
		var txt []byte
		for _, text := range e.Text {
			text = unescape(text)
			txt = append(append(txt, byte(len(text))), text...)
		}
		c.learn(name, wire.TypeTXT, txt, iface)
	}
	for _, addr := range addrs {
		switch {
		case addr.Is4():
			c.learn(host, wire.TypeA, addr.AsSlice(), iface)
		case !addr.IsLinkLocalUnicast() || iface != "":
			c.learn(host, wire.TypeAAAA, addr.AsSlice(), iface)
		}
	}
}

func (c *catalog) learn(name wire.Name, typ uint16, data []byte, iface string) {
	key := setKey{name.Fold(), typ}
	if c.cache.find(key, data, iface) == nil {
		now := time.Now()
		c.cache.add(key, &record{name: name, data: data, iface: iface, told: now, expires: now.Add(wholeSearch)})
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

// services are those that were found and not withdrawn.
func (c *catalog) services() []Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.expire(time.Now())
	return c.cache.services()
}
