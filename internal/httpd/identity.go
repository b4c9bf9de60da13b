package httpd

import (
	"net/netip"
	"slices"
	"strings"
)

// Identity is what this host is called and where it is: the names and
// addresses under which its pages may be opened, and the networks that it is
// part of. It changes with the network; see Guard.SetIdentity.
type Identity struct {
	Names    []string       // bare and full: server22, server22.local, server22.lan
	Addrs    []netip.Addr   // own addresses
	Prefixes []netip.Prefix // directly connected networks
}

// lan is what counts as local anywhere: private use (RFC 1918), link-local
// (RFC 3927, RFC 4291), unique local (RFC 4193), loopback.
var lan = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fc00::/7"),
}

// isOwnHost reports whether a Host header's host (without port) means us.
func (id *Identity) isOwnHost(host string) bool {
	if addr, ok := parseIPLiteral(host); ok {
		return addr.IsLoopback() || slices.Contains(id.Addrs, addr)
	}
	host = canonicalHost(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	return slices.Contains(id.Names, host)
}

// isLocal reports whether an address is on the LAN.
func (id *Identity) isLocal(addr netip.Addr) bool {
	within := func(p netip.Prefix) bool { return p.Contains(addr) }
	return slices.ContainsFunc(lan, within) || slices.ContainsFunc(id.Prefixes, within)
}

// parseIPLiteral reads an address as a Host header has it, brackets and zone
// removed.
func parseIPLiteral(host string) (netip.Addr, bool) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	addr, err := netip.ParseAddr(host)
	return addr.WithZone("").Unmap(), err == nil
}

// canonicalHost is a name as names are compared: lower case, without the dot
// of a full name.
func canonicalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// hostOf removes the port of a Host header.
func hostOf(hostport string) string {
	if strings.HasPrefix(hostport, "[") {
		if end := strings.IndexByte(hostport, ']'); end >= 0 {
			return hostport[:end+1]
		}
		return hostport
	}
	if i := strings.LastIndexByte(hostport, ':'); i >= 0 && strings.IndexByte(hostport, ':') == i {
		return hostport[:i]
	}
	return hostport
}
