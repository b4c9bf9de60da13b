package netcfg

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"server22.local/appliance/netcfg/dhcp4"
)

// Mode says what is done to the interface.
type Mode string

const (
	// ModeObserve changes nothing, and is what happens too where another program
	// configures the interface.
	ModeObserve Mode = "observe"
	// ModeDHCP asks a server for an address.
	ModeDHCP Mode = "dhcp"
	// ModeStatic uses the addresses of Settings.Static.
	ModeStatic Mode = "static"
)

// LinkLocalMode says when the interface has an address of 169.254.0.0/16.
type LinkLocalMode string

const (
	// LinkLocalFallback claims one when there is no other address for 5 s, and
	// gives it up when there is.
	LinkLocalFallback LinkLocalMode = "fallback"
	// LinkLocalAlways keeps one beside any other address.
	LinkLocalAlways LinkLocalMode = "always"
	// LinkLocalOff never claims one.
	LinkLocalOff LinkLocalMode = "off"
)

// Auto as an interface is the first wired one with carrier, else one that has
// joined a wireless network, else the first wired one that is up, else the
// first there is.
const Auto = "auto"

// Settings are what an administrator chooses. They can be applied on trial, see
// [Configurator.Try], and are kept as JSON meanwhile.
type Settings struct {
	// Interface is a name, an alternative name, a hardware address, or [Auto],
	// which "" means too. It need not exist yet.
	Interface string `json:"interface"`
	Mode      Mode   `json:"mode"` // "" is ModeObserve
	// ClientID is "mac" (also ""), "duid", "none" or bytes in hexadecimal.
	ClientID  string        `json:"client_id,omitempty"`
	LinkLocal LinkLocalMode `json:"link_local,omitempty"` // "" is LinkLocalFallback
	// ReleaseOnStop gives the lease back when Run ends. Without it the address
	// stays, and comes back after a restart.
	ReleaseOnStop bool `json:"release_on_stop,omitempty"`
	// IgnoreMTU leaves out the MTU that a DHCP server says.
	IgnoreMTU bool   `json:"ignore_mtu,omitempty"`
	Static    Static `json:"static,omitzero"`
}

// Static is a configuration without a server.
type Static struct {
	// Addresses are IPv4 and IPv6 addresses with the lengths of their prefixes.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Gateways are the default routers: one of IPv4 and one of IPv6 at most.
	Gateways []netip.Addr  `json:"gateways,omitempty"`
	Routes   []StaticRoute `json:"routes,omitempty"`
	DNS      []netip.Addr  `json:"dns,omitempty"`
	Search   []string      `json:"search,omitempty"`
	// MTU is 0 to leave it as it is.
	MTU int `json:"mtu,omitempty"`
}

// StaticRoute is a route beside the default ones.
type StaticRoute struct {
	Dst netip.Prefix `json:"dst"`
	// Gateway is invalid for a destination on the link itself.
	Gateway netip.Addr `json:"gateway,omitzero"`
	Metric  int        `json:"metric,omitempty"`
}

// Config is everything that a [Configurator] needs. The zero value observes.
type Config struct {
	Settings
	// Hostname is sent to DHCP servers to be registered.
	Hostname string
	// ResolvConf is the resolver file to write, "" for none. It is also the one
	// that is observed; "" observes [DefaultResolvConf].
	ResolvConf string
	// SystemResolver is the file where programs look for their name servers, if
	// that need not be ResolvConf: where it is systemd-resolved's, that is told
	// them too. "" tells only the owner of ResolvConf.
	SystemResolver string
	// StateDir keeps the lease and what must be cleaned up after a crash; ""
	// keeps nothing.
	StateDir string
	// Commit is called with settings that were on trial and are confirmed, to
	// make them permanent; nil leaves them in force until Run ends.
	Commit func(Settings) error
	// Owners finds other programs that configure the interface.
	Owners OwnerFinder
	// Logger takes a line for each thing that happens; nil discards.
	Logger *slog.Logger
}

// Validate says what is wrong with the settings, and nil if nothing is.
func (s Settings) Validate() error {
	return errors.Join(s.validateChoices(), s.Static.validate(s.Mode == ModeStatic))
}

func (s Settings) validateChoices() error {
	var errs []error
	if !slices.Contains([]Mode{"", ModeObserve, ModeDHCP, ModeStatic}, s.Mode) {
		errs = append(errs, fmt.Errorf(`mode %q is none of "observe", "dhcp", "static"`, s.Mode))
	}
	if !slices.Contains([]LinkLocalMode{"", LinkLocalFallback, LinkLocalAlways, LinkLocalOff}, s.LinkLocal) {
		errs = append(errs, fmt.Errorf(`link_local %q is none of "fallback", "always", "off"`, s.LinkLocal))
	}
	if _, err := dhcp4.ClientID(s.ClientID, [6]byte{}); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s Static) validate(used bool) error {
	var errs []error
	if used && len(s.Addresses) == 0 {
		errs = append(errs, errors.New(`mode "static" needs at least one address`))
	}
	for _, prefix := range s.Addresses {
		errs = append(errs, validAddress(prefix))
	}
	families := map[bool]netip.Addr{}
	for _, gateway := range s.Gateways {
		if other, ok := families[gateway.Is4()]; ok {
			errs = append(errs, fmt.Errorf("gateways %v and %v are of the same family", other, gateway))
		}
		families[gateway.Is4()] = gateway
		if !s.reaches(gateway) {
			errs = append(errs, fmt.Errorf("gateway %v is in none of the networks of the addresses", gateway))
		}
	}
	for _, route := range s.Routes {
		if !route.Dst.IsValid() || route.Dst != route.Dst.Masked() {
			errs = append(errs, fmt.Errorf("destination %v has bits beyond its prefix", route.Dst))
		}
		if route.Gateway.IsValid() && !s.reaches(route.Gateway) {
			errs = append(errs, fmt.Errorf("gateway %v of %v is in none of the networks of the addresses", route.Gateway, route.Dst))
		}
	}
	for _, domain := range s.Search {
		if !validDomain(domain) {
			errs = append(errs, fmt.Errorf("search domain %q is not a domain name", domain))
		}
	}
	if s.MTU != 0 && (s.MTU < 576 || s.MTU > 65535) {
		errs = append(errs, fmt.Errorf("MTU %d is not between 576 and 65535", s.MTU))
	}
	return errors.Join(errs...)
}

// reaches says whether a gateway is a neighbour.
func (s Static) reaches(gateway netip.Addr) bool {
	return gateway.IsLinkLocalUnicast() || slices.ContainsFunc(s.Addresses, func(prefix netip.Prefix) bool {
		return prefix.Contains(gateway) && prefix.Addr() != gateway
	})
}

func validAddress(prefix netip.Prefix) error {
	addr := prefix.Addr()
	switch {
	case !prefix.IsValid() || prefix.Bits() == 0:
		return fmt.Errorf("address %v has no prefix length", prefix)
	case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback() || addr.Is4In6():
		return fmt.Errorf("address %v is not one for a host", addr)
	case addr.Is4() && prefix.Bits() < 31 && (addr == prefix.Masked().Addr() || addr == lastOf(prefix)):
		return fmt.Errorf("address %v is the network or broadcast address", prefix)
	}
	return nil
}

// lastOf is the last address of a prefix of IPv4, its broadcast address.
func lastOf(prefix netip.Prefix) netip.Addr {
	b := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}
