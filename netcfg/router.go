package netcfg

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// RouterDNS is what the routers of a link say about name resolution in their
// advertisements (RFC 8106). The kernel ignores it itself and hands it on.
type RouterDNS struct {
	Servers []netip.Addr `json:"servers,omitempty"`
	Search  []string     `json:"search,omitempty"`
}

// routerOptions collects the options by link. The kernel has checked that an
// advertisement came from a neighbour, and accepts it only where accept_ra
// lets it: where SLAAC is off these options are too.
type routerOptions struct {
	mu      sync.Mutex // guards all following fields
	entries []routerEntry
}

type routerEntry struct {
	link    int
	server  netip.Addr // or
	search  string
	expires time.Time
}

// maxRouterEntries bounds what a neighbour can make us remember, per link.
const maxRouterEntries = 16

// Options of neighbour discovery (RFC 8106 §5.1, §5.2).
const (
	optionRDNSS = 25
	optionDNSSL = 31
)

// learn reads the payload of RTM_NEWNDUSEROPT: struct nduseroptmsg (16 bytes)
// and one option as it came from the wire.
func (r *routerOptions) learn(message []byte) {
	const header = 16
	if len(message) < header+8 || message[0] != unix.AF_INET6 {
		return
	}
	link := int(int32(binary.NativeEndian.Uint32(message[4:])))
	size := int(binary.NativeEndian.Uint16(message[2:]))
	if size < 8 || size > len(message)-header {
		return
	}
	option := message[header : header+size]
	if int(option[1])*8 > size {
		return
	}
	option = option[:int(option[1])*8]
	if len(option) < 8 {
		return
	}
	expires := time.Now().Add(time.Duration(binary.BigEndian.Uint32(option[4:])) * time.Second)
	switch option[0] {
	case optionRDNSS:
		for _, server := range parseRDNSS(option) {
			r.put(routerEntry{link: link, server: server, expires: expires})
		}
	case optionDNSSL:
		for _, search := range parseDNSSL(option) {
			r.put(routerEntry{link: link, search: search, expires: expires})
		}
	}
}

// put replaces the entry of the same content; a lifetime of zero removes it.
func (r *routerOptions) put(entry routerEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = slices.DeleteFunc(r.entries, func(e routerEntry) bool {
		return e.link == entry.link && e.server == entry.server && e.search == entry.search
	})
	count := 0
	for _, e := range r.entries {
		if e.link == entry.link {
			count++
		}
	}
	if entry.expires.After(time.Now()) && count < maxRouterEntries {
		r.entries = append(r.entries, entry)
	}
}

// addTo puts what has not expired into the links of a snapshot.
func (r *routerOptions) addTo(snapshot *Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = slices.DeleteFunc(r.entries, func(e routerEntry) bool {
		link, ok := snapshot.LinkByIndex(e.link)
		return !ok || !link.Carrier || !e.expires.After(snapshot.Time)
	})
	sorted := slices.Clone(r.entries) // so that refreshed options make no new version
	slices.SortFunc(sorted, func(a, b routerEntry) int {
		return cmp.Or(a.server.Compare(b.server), strings.Compare(a.search, b.search))
	})
	for i := range snapshot.Links {
		link := &snapshot.Links[i]
		for _, e := range sorted {
			switch {
			case e.link != link.Index:
			case e.server.IsValid():
				link.RouterDNS.Servers = append(link.RouterDNS.Servers, zoned(e.server, link.Name))
			default:
				link.RouterDNS.Search = append(link.RouterDNS.Search, e.search)
			}
		}
	}
}

// zoned adds the link's name to a link-local address, which means nothing
// without it.
func zoned(addr netip.Addr, link string) netip.Addr {
	if addr.IsLinkLocalUnicast() {
		return addr.WithZone(link)
	}
	return addr
}

// untilExpiry is how long the first entry still holds.
func (r *routerOptions) untilExpiry() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := time.Duration(math.MaxInt64)
	for _, e := range r.entries {
		wait = min(wait, time.Until(e.expires))
	}
	return wait
}

func (d RouterDNS) same(other RouterDNS) bool {
	return slices.Equal(d.Servers, other.Servers) && slices.Equal(d.Search, other.Search)
}

// parseRDNSS lists the usable addresses of an option of at least 8 bytes.
func parseRDNSS(option []byte) []netip.Addr {
	var servers []netip.Addr
	for rest := option[8:]; len(rest) >= 16; rest = rest[16:] {
		addr, _ := netip.AddrFromSlice(rest[:16])
		if !addr.IsUnspecified() && !addr.IsMulticast() && !addr.IsLoopback() && !addr.Is4In6() {
			servers = append(servers, addr)
		}
	}
	return servers
}

// parseDNSSL lists the valid domains of an option of at least 8 bytes. They are
// uncompressed DNS names, padded by zeros.
func parseDNSSL(option []byte) []string {
	var domains []string
	var labels []string
	for rest := option[8:]; len(rest) > 0; {
		size := int(rest[0])
		if size == 0 {
			if len(labels) > 0 && validDomain(strings.Join(labels, ".")) {
				domains = append(domains, strings.Join(labels, "."))
			}
			labels, rest = nil, rest[1:]
			continue
		}
		if size > 63 || size >= len(rest) {
			break
		}
		labels, rest = append(labels, string(rest[1:1+size])), rest[1+size:]
	}
	return domains
}

// validDomain accepts what may stand in a resolver file: labels of letters,
// digits, hyphens and underscores (RFC 1035 §2.3.1, and what is in use).
func validDomain(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
