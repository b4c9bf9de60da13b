package browse

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/grandcat/zeroconf"
	"golang.org/x/sync/errgroup"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// Service is one instance of a service that was found.
type Service struct {
	Instance string       `json:"instance"` // what people see
	Type     string       `json:"type"`     // _http._tcp
	Host     string       `json:"host"`     // server22.local
	Port     uint16       `json:"port"`
	TXT      []string     `json:"txt,omitempty"`
	Addrs    []netip.Addr `json:"addresses"`
	// Interface is the one that it was found on.
	Interface string `json:"interface"`
}

// Equal says whether two services are the same in all that is told of them.
func (s Service) Equal(o Service) bool {
	return s.Instance == o.Instance && s.Type == o.Type && s.Host == o.Host && s.Port == o.Port &&
		slices.Equal(s.TXT, o.TXT) && slices.Equal(s.Addrs, o.Addrs) && s.Interface == o.Interface
}

// ErrNoInterface is returned where there is nowhere to ask.
var ErrNoInterface = errors.New("no interface with multicast is up")

// repeats are the pauses between questions: a lost packet is asked again, and
// slow responders have their time (RFC 6762 §5.2 has the doubling).
var repeats = []time.Duration{0, time.Second, 2 * time.Second}

// Services asks every usable interface for services of a type, such as
// "_http._tcp", until the context ends, and returns those that were found,
// in the order of their names.
func Services(ctx context.Context, typ string) ([]Service, error) {
	question, err := typeName(typ)
	if err != nil {
		return nil, err
	}
	all, err := discovery.SystemInterfaces()
	if err != nil {
		return nil, fmt.Errorf("browsing for %s: %w", typ, err)
	}
	interfaces := usable(all)
	found := newCatalog(typ, question)
	var group errgroup.Group
	if !ask(ctx, &group, interfaces, found, wanted{question, wire.TypePTR}) {
		return nil, ErrNoInterface
	}
	for _, traffic := range []zeroconf.IPType{zeroconf.IPv4, zeroconf.IPv6} {
		group.Go(func() error { listen(ctx, traffic, interfaces, found); return nil })
	}
	_ = group.Wait() // nobody has an error to tell: an interface may vanish
	return found.services(), nil
}

// usable are the interfaces that are asked on.
func usable(all []discovery.Interface) []discovery.Interface {
	return slices.DeleteFunc(all, func(i discovery.Interface) bool { return !i.Usable() || !discovery.DefaultFilter(i) })
}

// ask starts an asker for each interface in each family, and says whether
// there is any.
func ask(ctx context.Context, group *errgroup.Group, interfaces []discovery.Interface, found catcher, questions ...wanted) bool {
	open := false
	for _, i := range interfaces {
		for _, family := range []family{ipv4Family, ipv6Family} {
			if a, err := newAsker(i, family, found); err == nil {
				open = true
				group.Go(func() error { a.run(ctx, questions...); return nil })
			}
		}
	}
	return open
}

// typeName is _http._tcp.local in wire form.
func typeName(typ string) (wire.Name, error) {
	labels := strings.Split(typ, ".")
	if len(labels) != 2 || !strings.HasPrefix(labels[0], "_") || labels[1] != "_tcp" && labels[1] != "_udp" {
		return "", fmt.Errorf("%q is not a type of services, as _http._tcp is", typ)
	}
	name, err := wire.NewName(append(labels, "local")...)
	if err != nil {
		return "", fmt.Errorf("%q is not a type of services: %w", typ, err)
	}
	return name, nil
}
