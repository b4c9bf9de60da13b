package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// Route is a route beside the default ones, written as people write it:
// "10.8.0.0/16 via 192.168.1.254", or without "via" what is on the link itself.
type Route struct {
	Dst netip.Prefix
	// Gateway is invalid for a destination on the link.
	Gateway netip.Addr
}

// UnmarshalText reads a route.
func (r *Route) UnmarshalText(text []byte) error {
	dst, gateway, via := strings.Cut(string(text), " via ")
	prefix, err := netip.ParsePrefix(strings.TrimSpace(dst))
	if err != nil {
		return fmt.Errorf("%q is not a network, as in 10.8.0.0/16 via 192.168.1.254", dst)
	}
	*r = Route{Dst: prefix}
	if !via {
		return nil
	}
	if r.Gateway, err = netip.ParseAddr(strings.TrimSpace(gateway)); err != nil {
		return fmt.Errorf("%q is not the address of a router", gateway)
	}
	return nil
}

// String is what UnmarshalText reads.
func (r Route) String() string {
	if !r.Gateway.IsValid() {
		return r.Dst.String()
	}
	return fmt.Sprintf("%v via %v", r.Dst, r.Gateway)
}

// MarshalText is String.
func (r Route) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
