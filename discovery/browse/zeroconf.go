package browse

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grandcat/zeroconf"
	"github.com/miekg/dns"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// oneLook is how long one of zeroconf's browsings lasts. It asks once, and
// then not before two to six seconds; a responder that has told its addresses
// within the last second leaves them out, and zeroconf drops what comes
// without. So it is begun anew after a little more than that second.
const oneLook = 1300 * time.Millisecond

// A Sighting is what an independent stack found out in one address family.
type Sighting struct {
	Family string // "IPv4" or "IPv6"
	// Addrs come with the answer; none if nobody answered.
	Addrs []netip.Addr
	// Err says why nothing can be heard at all: the port of multicast DNS is
	// taken by a program that does not share it, for example.
	Err error
}

// Seen asks on one interface for a service of a host, whose name is one label,
// by means that have no code in common with the responder of package discovery.
// It returns what came in each family in which the interface has an address, at
// once if all have an answer, and else when the context ends.
func Seen(ctx context.Context, ifi discovery.Interface, host, typ string) []Sighting {
	var sightings []Sighting
	var traffic []zeroconf.IPType
	for _, f := range []struct {
		name string
		typ  zeroconf.IPType
		is   func(netip.Addr) bool
	}{{"IPv4", zeroconf.IPv4, netip.Addr.Is4}, {"IPv6", zeroconf.IPv6, netip.Addr.Is6}} {
		if slices.ContainsFunc(ifi.Addresses, func(p netip.Prefix) bool { return f.is(p.Addr()) }) {
			sightings = append(sightings, Sighting{Family: f.name})
			traffic = append(traffic, f.typ)
		}
	}
	var group sync.WaitGroup
	for i := range sightings {
		group.Go(func() { sightings[i].look(ctx, traffic[i], ifi, host, typ) })
	}
	group.Wait()
	return sightings
}

func (s *Sighting) look(ctx context.Context, traffic zeroconf.IPType, ifi discovery.Interface, host, typ string) {
	s.Err = look(ctx, traffic, []net.Interface{netInterface(ifi)}, typ, func(e *zeroconf.ServiceEntry) bool {
		name, err := parseName(e.HostName)
		if err != nil || !strings.EqualFold(strings.Join(name.Labels(), "."), host+".local") {
			return false
		}
		s.Addrs = entryAddrs(e)
		return true
	})
}

// listen enters what zeroconf hears about a type on all of the interfaces,
// until the context ends.
func listen(ctx context.Context, traffic zeroconf.IPType, interfaces []discovery.Interface, found *catalog) {
	list := make([]net.Interface, len(interfaces))
	for i, ifi := range interfaces {
		list[i] = netInterface(ifi)
	}
	// Where it cannot listen the askers still work, and say so if they do not.
	_ = look(ctx, traffic, list, found.typ, func(e *zeroconf.ServiceEntry) bool {
		if name, err := entryName(e); err == nil {
			found.enterEntry(name, e, interfaces)
		}
		return false
	})
}

// look browses, attempt after attempt, until take returns true or the context
// ends.
func look(ctx context.Context, traffic zeroconf.IPType, interfaces []net.Interface, typ string, take func(*zeroconf.ServiceEntry) bool) error {
	for ctx.Err() == nil {
		if done, err := lookOnce(ctx, traffic, interfaces, typ, take); done || err != nil {
			return err
		}
	}
	return nil
}

// lookOnce is one attempt. Zeroconf sends into the channel without looking at
// the context, so the channel is read until it is closed.
func lookOnce(ctx context.Context, traffic zeroconf.IPType, interfaces []net.Interface, typ string, take func(*zeroconf.ServiceEntry) bool) (done bool, err error) {
	resolver, err := zeroconf.NewResolver(zeroconf.SelectIPTraffic(traffic), zeroconf.SelectIfaces(interfaces))
	if err != nil {
		return false, fmt.Errorf("listening for multicast DNS: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, oneLook)
	defer cancel()
	entries := make(chan *zeroconf.ServiceEntry)
	var reader sync.WaitGroup
	reader.Go(func() {
		for e := range entries {
			if !done && take(e) {
				done = true
				cancel()
			}
		}
	})
	if err = resolver.Browse(ctx, typ, "local", entries); err == nil {
		<-ctx.Done()
	}
	reader.Wait()
	return done, err
}

func netInterface(i discovery.Interface) net.Interface {
	return net.Interface{Index: i.Index, Name: i.Name, Flags: i.Flags, MTU: i.MTU}
}

// entryName is the instance's name; zeroconf leaves it escaped.
func entryName(e *zeroconf.ServiceEntry) (wire.Name, error) {
	return parseName(e.Instance + "." + e.Service + ".local.")
}

// parseName reads a name in the text form of DNS, in which dots, spaces and
// bytes beyond ASCII are escaped.
func parseName(text string) (wire.Name, error) {
	var b [wire.MaxName]byte
	n, err := dns.PackDomainName(dns.Fqdn(text), b[:], 0, nil, false)
	if err != nil {
		return "", fmt.Errorf("reading the name %q: %w", text, err)
	}
	return wire.Name(b[:n]), nil
}

func entryAddrs(e *zeroconf.ServiceEntry) (addrs []netip.Addr) {
	for _, ip := range slices.Concat(e.AddrIPv4, e.AddrIPv6) {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// unescape takes back what miekg/dns does to the strings of a TXT record.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		if i+4 <= len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 10, 8); err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(text[i])
	}
	return b.String()
}
