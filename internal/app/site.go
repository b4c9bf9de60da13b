package app

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/netcfg"
)

// site is where the appliance can be reached, as the network is right now.
type site struct {
	names     []string // held on the network, the best first: server22.local
	snapshot  *netcfg.Snapshot
	listeners []netip.AddrPort
}

// Kinds of links that carry no visitors from the LAN.
var inward = []string{"docker", "veth", "br-", "virbr", "cni", "flannel", "lxc", "lxd", "podman"}

// urls are the addresses of the pages, the best first: by name, then IPv4,
// then IPv6.
func (s site) urls() []string {
	port := s.port()
	var urls []string
	if s.everywhere() {
		for _, name := range s.names {
			urls = append(urls, pageURL(name, port))
		}
	}
	return append(urls, s.addressURLs()...)
}

// addressURLs are those of urls that name an address.
func (s site) addressURLs() []string {
	var urls []string
	for _, addr := range s.visible() {
		host := addr.String()
		if addr.Is6() {
			host = "[" + host + "]"
		}
		urls = append(urls, pageURL(host, s.port()))
	}
	return urls
}

func pageURL(host string, port uint16) string {
	if port == 80 {
		return "http://" + host + "/"
	}
	return fmt.Sprintf("http://%s:%d/", host, port)
}

// port is the one to show: 80 needs not be typed.
func (s site) port() uint16 {
	for _, l := range s.listeners {
		if l.Port() == 80 {
			return 80
		}
	}
	if len(s.listeners) == 0 {
		return 80
	}
	return s.listeners[0].Port()
}

// everywhere reports whether a listener is bound to no address of its own.
func (s site) everywhere() bool {
	return slices.ContainsFunc(s.listeners, func(l netip.AddrPort) bool { return l.Addr().IsUnspecified() })
}

// visible are the addresses that a browser elsewhere can open, IPv4 first;
// loopback when there are no others.
func (s site) visible() []netip.Addr {
	if !s.everywhere() {
		var bound []netip.Addr
		for _, l := range s.listeners {
			bound = append(bound, l.Addr())
		}
		slices.SortFunc(bound, netip.Addr.Compare)
		return slices.Compact(bound)
	}
	var addrs []netip.Addr
	for _, link := range s.links() {
		for _, a := range link.Addrs {
			if addr := a.Prefix.Addr(); a.Usable() && !a.Temporary && !a.Deprecated && !(addr.Is6() && addr.IsLinkLocalUnicast()) {
				addrs = append(addrs, addr)
			}
		}
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return reach(a) - reach(b) })
	if len(addrs) == 0 {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	return addrs
}

// reach orders addresses by how many devices can open them: a link-local one
// is for a laptop on the cable, when nothing else is there.
func reach(addr netip.Addr) int {
	switch {
	case addr.IsLinkLocalUnicast():
		return 2
	case addr.Is6():
		return 1
	default:
		return 0
	}
}

// links are those that visitors may come by.
func (s site) links() []netcfg.Link {
	var links []netcfg.Link
	if s.snapshot == nil {
		return nil
	}
	for _, link := range s.snapshot.Links {
		if !link.Loopback && link.Up && !slices.ContainsFunc(inward, func(p string) bool { return strings.HasPrefix(link.Name, p) }) {
			links = append(links, link)
		}
	}
	return links
}

// identity is what the guard needs to know our own names and addresses by:
// every one, not only what is shown.
func (s site) identity(bare []string) httpd.Identity {
	var id httpd.Identity
	domains := []string{"local"}
	if s.snapshot != nil {
		domains = append(domains, s.snapshot.Resolver.Search...)
		for _, link := range s.snapshot.Links {
			domains = append(domains, link.RouterDNS.Search...)
			for _, a := range link.Addrs {
				id.Addrs = append(id.Addrs, a.Prefix.Addr())
				if !link.Loopback {
					id.Prefixes = append(id.Prefixes, a.Prefix.Masked())
				}
			}
		}
	}
	id.Names = append(id.Names, s.names...)
	for _, name := range bare {
		id.Names = append(id.Names, name)
		for _, domain := range domains {
			id.Names = append(id.Names, name+"."+domain)
		}
	}
	return id
}

// machineName is what the system calls itself, "" if it does not say.
func machineName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}

func listenerAddrs(listeners []net.Listener) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, l := range listeners {
		if tcp, ok := l.Addr().(*net.TCPAddr); ok {
			ap := tcp.AddrPort()
			addrs = append(addrs, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
		}
	}
	return addrs
}

// AddressURL is the first of the URLs that names an address instead of a name.
func AddressURL(urls []string) (string, bool) {
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			return text, true
		}
	}
	return "", false
}
