package dhcp4

import (
	"encoding/binary"
	"math"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Option codes of RFC 2132 unless said otherwise.
const (
	optSubnetMask     = 1
	optRouters        = 3
	optDNS            = 6
	optHostName       = 12
	optDomainName     = 15
	optMTU            = 26
	optBroadcast      = 28
	optNTP            = 42
	optRequestedAddr  = 50
	optLeaseTime      = 51
	optOverload       = 52
	optMessageType    = 53
	optServerID       = 54
	optParameters     = 55
	optMessage        = 56
	optMaxMessageSize = 57
	optT1             = 58
	optT2             = 59
	optClientID       = 61
	optRapidCommit    = 80  // RFC 4039
	optFQDN           = 81  // RFC 4702
	optCaptivePortal  = 114 // RFC 8910
	optDomainSearch   = 119 // RFC 3397
	optStaticRoutes   = 121 // RFC 3442
)

// wanted is the parameter request list: 121 before 3 as RFC 3442 demands. The
// host name (12) is not asked for: some servers would parrot it.
var wanted = []byte{
	optSubnetMask, optStaticRoutes, optRouters, optDNS, optDomainName, optDomainSearch,
	optMTU, optBroadcast, optNTP, optLeaseTime, optT1, optT2, optCaptivePortal,
}

// Limits on what a server can make us remember.
const (
	maxAddrs  = 8
	maxRoutes = 64
	maxSearch = 6 // as resolv.conf(5) once had it; 256 characters in all
)

// addrOption reads an option of exactly one address.
func addrOption(o dhcpv4.Options, code uint8) (netip.Addr, bool) {
	b, ok := o[code]
	if !ok || len(b) != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(b)), true
}

// addrsOption reads an option of one or more addresses and leaves out those
// that cannot be a host's. An option of a wrong length says nothing.
func addrsOption(o dhcpv4.Options, code uint8) []netip.Addr {
	b := o[code]
	if len(b)%4 != 0 {
		return nil
	}
	var addrs []netip.Addr
	for ; len(b) > 0 && len(addrs) < maxAddrs; b = b[4:] {
		if addr := netip.AddrFrom4([4]byte(b)); isHost(addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// isHost says whether a host on a network can have the address.
func isHost(addr netip.Addr) bool {
	first := addr.As4()[0]
	return first != 0 && first != 127 && first < 224
}

// durationOption reads an option of seconds in 32 bits. All ones is Forever.
func durationOption(o dhcpv4.Options, code uint8) (time.Duration, bool) {
	b, ok := o[code]
	if !ok || len(b) != 4 {
		return 0, false
	}
	seconds := binary.BigEndian.Uint32(b)
	if seconds == math.MaxUint32 {
		return Forever, true
	}
	return time.Duration(seconds) * time.Second, true
}

// maskOption reads the subnet mask as a prefix length; it must be contiguous.
func maskOption(o dhcpv4.Options) (bits int, ok bool) {
	b, ok := o[optSubnetMask]
	if !ok || len(b) != 4 {
		return 0, false
	}
	mask := binary.BigEndian.Uint32(b)
	for mask&(1<<31) != 0 {
		bits++
		mask <<= 1
	}
	return bits, mask == 0
}

// mtuOption reads the link's MTU; RFC 2132 §5.1 allows none under 68, and IPv4
// hosts need not work with less than 576.
func mtuOption(o dhcpv4.Options) int {
	b := o[optMTU]
	if len(b) != 2 {
		return 0
	}
	if mtu := int(binary.BigEndian.Uint16(b)); mtu >= 576 {
		return mtu
	}
	return 0
}

// nameOption reads a host or domain name. Anything that is not one says
// nothing: it would end up in files and on consoles.
func nameOption(o dhcpv4.Options, code uint8) string {
	b := o[code]
	name := strings.TrimSuffix(strings.TrimRight(string(b), "\x00"), ".")
	if !validName(name) {
		return ""
	}
	return name
}

// validName accepts names of letters, digits, hyphens and underscores.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notInLabel) {
			return false
		}
	}
	return true
}

func notInLabel(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
}

// searchOption reads the search list: DNS names, compressed by pointers into
// the option itself (RFC 3397 §2). The list ends at the first that is broken.
func searchOption(o dhcpv4.Options) []string {
	b := o[optDomainSearch]
	var list []string
	total := 0
	for at := 0; at < len(b) && len(list) < maxSearch; {
		name, next, ok := dnsName(b, at)
		if !ok || !validName(name) {
			break
		}
		if total += len(name) + 1; total > 256 {
			break
		}
		list, at = append(list, name), next
	}
	return list
}

// dnsName reads the name at an offset and returns the offset after it.
func dnsName(b []byte, at int) (name string, next int, ok bool) {
	var labels []string
	next = -1
	for jumps := 0; at < len(b); {
		size := int(b[at])
		switch {
		case size == 0:
			if next < 0 {
				next = at + 1
			}
			return strings.Join(labels, "."), next, true
		case size&0xc0 == 0xc0:
			if at+1 >= len(b) || jumps == 8 {
				return "", 0, false
			}
			if next < 0 {
				next = at + 2
			}
			at = size&0x3f<<8 | int(b[at+1])
			jumps++
		case size > 63 || at+1+size > len(b) || len(labels) == 127:
			return "", 0, false
		default:
			labels = append(labels, string(b[at+1:at+1+size]))
			at += 1 + size
		}
	}
	return "", 0, false
}

// routesOption reads classless static routes (RFC 3442). One that is broken
// makes all of them void, since what follows it cannot be trusted.
func routesOption(o dhcpv4.Options) []Route {
	b := o[optStaticRoutes]
	var routes []Route
	for len(b) > 0 && len(routes) < maxRoutes {
		bits := int(b[0])
		octets := (bits + 7) / 8
		if bits > 32 || len(b) < 1+octets+4 {
			return nil
		}
		var dst [4]byte
		copy(dst[:], b[1:1+octets])
		gateway := netip.AddrFrom4([4]byte(b[1+octets:]))
		b = b[1+octets+4:]
		route := Route{Dst: netip.PrefixFrom(netip.AddrFrom4(dst), bits).Masked()}
		switch {
		case gateway.IsUnspecified(): // the destination is on the link itself
		case isHost(gateway):
			route.Gateway = gateway
		default:
			continue
		}
		if !route.Dst.Addr().IsMulticast() && !route.Dst.Addr().IsLoopback() {
			routes = append(routes, route)
		}
	}
	return routes
}

// urlOption reads the address of a captive portal's API (RFC 8910).
func urlOption(o dhcpv4.Options) string {
	b := o[optCaptivePortal]
	text := strings.TrimRight(string(b), "\x00")
	u, err := url.Parse(text)
	if err != nil || len(text) > 1024 || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// textOption reads a message for people, with everything but printable ASCII
// replaced.
func textOption(o dhcpv4.Options, code uint8) string {
	b := o[code]
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, string(b[:min(len(b), 200)]))
}
