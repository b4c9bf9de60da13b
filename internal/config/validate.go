package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// label is a host name's part (RFC 1123 §2.1): what DHCP, DNS and mDNS agree
// on.
var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// rule is one thing that must hold beyond a value's type.
type rule struct {
	key  string
	hint string
	test func(*Config) error
}

var rules = []rule{
	{"name", "one word of letters, digits and hyphens, as in server22", func(c *Config) error { return hostLabel(c.Name) }},
	{"state", "an absolute path, as in /var/lib/appliance", func(c *Config) error {
		if !filepath.IsAbs(c.State) {
			return fmt.Errorf("must be an absolute path, not %q", c.State)
		}
		return nil
	}},
	{"net.interface", `"auto", a name that 'ip link' shows, or a hardware address`, func(c *Config) error { return linkName(c.Net.Interface) }},
	{"net.client_id", "mac | duid | none | bytes in hex, as in 01:b8:27:eb:01:02:03", func(c *Config) error { return clientID(c.Net.ClientID) }},
	{"net.resolv_conf", "an absolute path, or \"\"", func(c *Config) error {
		if c.Net.ResolvConf != "" && !filepath.IsAbs(c.Net.ResolvConf) {
			return fmt.Errorf("must be an absolute path, not %q", c.Net.ResolvConf)
		}
		return nil
	}},
	{"net.static.addresses", `addresses = ["192.168.1.22/24"] in [net.static]`, staticAddresses},
	{"net.static.gateway", "an address of the network's router", func(c *Config) error { return gateway(c, c.Net.Static.Gateway, netip.Addr.Is4) }},
	{"net.static.gateway6", "an IPv6 address of the network's router", func(c *Config) error { return gateway(c, c.Net.Static.Gateway6, netip.Addr.Is6) }},
	{"net.static.routes", `as in ["10.8.0.0/16 via 192.168.1.254"]`, staticRoutes},
	{"net.static.mtu", "576 to 65535, or 0 for the link's own", func(c *Config) error {
		if mtu := c.Net.Static.MTU; mtu != 0 && (mtu < 576 || mtu > 65535) {
			return fmt.Errorf("%d is not between 576 and 65535", mtu)
		}
		return nil
	}},
	{"net.static.search", "domains, as in [\"home.arpa\"]", func(c *Config) error { return each(c.Net.Static.Search, domainName) }},
	{"discovery.instance", "1 to 63 bytes", func(c *Config) error {
		if len(c.Discovery.Instance) > 63 {
			return fmt.Errorf("is %d bytes long; DNS-SD allows 63", len(c.Discovery.Instance))
		}
		return nil
	}},
	{"discovery.aliases", `names without .local, as in ["chat"]`, func(c *Config) error { return each(c.Discovery.Aliases, hostLabel) }},
	{"discovery.cnames", `names without .local, as in ["old"]`, func(c *Config) error { return each(c.Discovery.CNAMEs, hostLabel) }},
	{"discovery.interfaces", "names that 'ip link' shows", func(c *Config) error { return each(c.Discovery.Interfaces, interfaceName) }},
	{"http.listen", `as in [":80", "127.0.0.1:8080"]`, listen},
	{"http.allow_hosts", `host names without port, as in ["pi.example.org"]`, func(c *Config) error { return each(c.HTTP.AllowHosts, allowedHost) }},
	{"http.origins", `as in ["https://example.org"]`, func(c *Config) error { return each(c.HTTP.Origins, pageOrigin) }},
	{"http.www", "an absolute path, or \"\"", func(c *Config) error {
		if c.HTTP.WWW != "" && !filepath.IsAbs(c.HTTP.WWW) {
			return fmt.Errorf("must be an absolute path, not %q", c.HTTP.WWW)
		}
		return nil
	}},
	// Less would be a storm of pings on a small device; more, and a client
	// that has gone is believed present for too long.
	{"realtime.ping_interval", "1s to 10m", func(c *Config) error { return between(c.Realtime.PingInterval, time.Second, 10*time.Minute) }},
	{"realtime.ping_timeout", "1s to 10m", func(c *Config) error { return between(c.Realtime.PingTimeout, time.Second, 10*time.Minute) }},
	{"realtime.recover", `as in ["/relay/game"]`, func(c *Config) error { return each(c.Realtime.Recover, namespace) }},
	{"realtime.recovery", "1s to 24h", func(c *Config) error { return between(c.Realtime.Recovery, time.Second, 24*time.Hour) }},
	{"realtime.max_payload", "1KiB to 100MiB", func(c *Config) error { return sized(c.Realtime.MaxPayload, 1<<10, 100<<20) }},
	{"realtime.queue", "4KiB to 64MiB", func(c *Config) error { return sized(c.Realtime.Queue, 4<<10, 64<<20) }},
	{"access.token", "at least 16 characters", func(c *Config) error {
		if c.Access.Token != "" && len(c.Access.Token) < 16 {
			return fmt.Errorf("is too short to be a secret")
		}
		return nil
	}},
	{"chat.rooms", "1 to 64 characters each", func(c *Config) error { return each(c.Chat.Rooms, roomName) }},
	{"bus.history_per_topic", "0 to 1000000", func(c *Config) error {
		if n := c.Bus.HistoryPerTopic; n < 0 || n > 1_000_000 {
			return fmt.Errorf("must be between 0 and 1000000, not %d", n)
		}
		return nil
	}},
	{"bus.mqtt", `as in ":1883", or ""`, func(c *Config) error {
		if c.Bus.MQTT == "" {
			return nil
		}
		return listenAddr(c.Bus.MQTT)
	}},
	// SQLite's own files need about that much before the first message.
	{"store.max_size", "at least 1MiB", func(c *Config) error { return sized(c.Store.MaxSize, 1<<20, 1<<50) }},
}

// validate holds the rules against the whole, and tells each break where its
// value stands.
func (l *Loaded) validate() error {
	var errs Errors
	for _, r := range rules {
		if err := r.test(&l.Config); err != nil {
			errs = append(errs, l.errorOf(r, err))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func (l *Loaded) errorOf(r rule, err error) *Error {
	message := r.key + " " + err.Error()
	o := l.origins[r.key]
	if o.doc != nil {
		return o.doc.errorAt(o.at, r.key, r.hint, "%s", message)
	}
	return &Error{Source: o.Source, Key: r.key, Message: message, Hint: r.hint}
}

func each(list []string, test func(string) error) error {
	for _, item := range list {
		if err := test(item); err != nil {
			return err
		}
	}
	return nil
}

func hostLabel(name string) error {
	if !label.MatchString(name) {
		return fmt.Errorf("%q is not a host name", name)
	}
	return nil
}

func domainName(name string) error {
	trimmed := strings.TrimSuffix(name, ".")
	if trimmed == "" || len(trimmed) > 253 {
		return fmt.Errorf("%q is not a domain", name)
	}
	for part := range strings.SplitSeq(trimmed, ".") {
		if !label.MatchString(part) {
			return fmt.Errorf("%q is not a domain", name)
		}
	}
	return nil
}

// linkName accepts what netcfg finds a link by: also a hardware address, and an
// alternative name, which may be longer than a name.
func linkName(name string) error {
	if _, err := net.ParseMAC(name); err == nil {
		return nil
	}
	const altNameSize = 127 // ALTIFNAMSIZ without the final zero
	if name == "" || len(name) > altNameSize || strings.ContainsAny(name, "/ \t\n") {
		return fmt.Errorf("%q is not an interface name", name)
	}
	return nil
}

func interfaceName(name string) error {
	// IFNAMSIZ is 16 with the final zero.
	if name == "" || len(name) > 15 || strings.ContainsAny(name, "/ \t\n") {
		return fmt.Errorf("%q is not an interface name", name)
	}
	return nil
}

func clientID(id string) error {
	if slices.Contains([]string{"mac", "duid", "none"}, id) {
		return nil
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(id, ":", ""))
	// RFC 2132 §9.14: at least two bytes; an option holds 255.
	if err != nil || len(raw) < 2 || len(raw) > 255 {
		return fmt.Errorf("%q is neither a word nor bytes in hex", id)
	}
	return nil
}

func staticAddresses(c *Config) error {
	if c.Net.Mode == "static" && len(c.Net.Static.Addresses) == 0 {
		return fmt.Errorf("is empty, and net.mode is static")
	}
	for _, prefix := range c.Net.Static.Addresses {
		addr := prefix.Addr()
		if addr.IsMulticast() || addr.IsUnspecified() || addr.IsLoopback() {
			return fmt.Errorf("%v cannot be an interface's address", prefix)
		}
		if addr.Is4() && prefix.Bits() < 31 && addr == prefix.Masked().Addr() {
			return fmt.Errorf("%v is the network itself, not a host in it", prefix)
		}
	}
	return nil
}

func staticRoutes(c *Config) error {
	for _, route := range c.Net.Static.Routes {
		if route.Dst != route.Dst.Masked() {
			return fmt.Errorf("%v has bits beyond its prefix; %v is the network", route.Dst, route.Dst.Masked())
		}
		if !route.Gateway.IsValid() {
			continue
		}
		if err := gateway(c, route.Gateway, func(a netip.Addr) bool { return a.Is4() == route.Dst.Addr().Is4() }); err != nil {
			return err
		}
	}
	return nil
}

func gateway(c *Config, addr netip.Addr, family func(netip.Addr) bool) error {
	if !addr.IsValid() {
		return nil
	}
	if !family(addr) {
		return fmt.Errorf("%v is of the other IP version", addr)
	}
	if addr.IsLinkLocalUnicast() && addr.Is6() {
		return nil
	}
	for _, prefix := range c.Net.Static.Addresses {
		if prefix.Contains(addr) && prefix.Addr() != addr {
			return nil
		}
	}
	return fmt.Errorf("%v is in none of the networks of net.static.addresses", addr)
}

func listen(c *Config) error {
	if len(c.HTTP.Listen) == 0 {
		return fmt.Errorf("is empty; nobody could open a page")
	}
	return each(c.HTTP.Listen, listenAddr)
}

func listenAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address with a port", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port == "" {
		return fmt.Errorf("%q has no port from 0 to 65535", addr)
	} else if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return fmt.Errorf("%q: %q is not an IP address (port %d)", addr, host, n)
	}
	return nil
}

func allowedHost(host string) error {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return nil
	}
	if err := domainName(strings.TrimPrefix(host, "*.")); err != nil {
		return fmt.Errorf("%q is not a host name", host)
	}
	return nil
}

func pageOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return fmt.Errorf("%q is not an origin: scheme, host, and port if it is not the usual one", origin)
	}
	return nil
}

// roomName takes what the chat takes: a test holds the two together.
func roomName(name string) error {
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 64 || strings.ContainsFunc(name, unseen) {
		return fmt.Errorf("%q is not a room's name", name)
	}
	return nil
}

// unseen characters would make two names look like one; the joiner is part of
// some emoji.
func unseen(r rune) bool {
	const joiner = '\u200d'
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != joiner || r == '\u2028' || r == '\u2029'
}

// namespace is a name as Socket.IO writes it, and fit for the name of a file.
func namespace(name string) error {
	if !strings.HasPrefix(name, "/") || strings.ContainsAny(name, ",?") || len(name) > 64 {
		return fmt.Errorf("%q is not the name of a namespace: a slash and up to 63 bytes, without comma or question mark", name)
	}
	return nil
}

func between(d Duration, low, high time.Duration) error {
	if v := time.Duration(d); v < low || v > high {
		return fmt.Errorf("must be between %v and %v, not %v", Duration(low), Duration(high), d)
	}
	return nil
}

func sized(b, low, high Bytes) error {
	if b < low || b > high {
		return fmt.Errorf("must be between %v and %v, not %v", low, high, b)
	}
	return nil
}
