package avahi

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/miekg/dns"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// Values of Avahi's interface.
const (
	anyProtocol    = int32(-1)
	publishDefault = uint32(0)
	noProbe        = uint32(2)
	noReverse      = uint32(16)

	groupEstablished = int32(2)
	groupCollision   = int32(3)
	groupFailure     = int32(4)

	serverRunning = int32(2)

	collisionError = service + ".CollisionError"
)

// A call adds one record, or those of a service, to a group. The third of its
// arguments are the flags.
type call struct {
	method string
	args   []any
}

// unprobed is the call for a name that is ours and gets other addresses: they
// are announced at once (RFC 6762 §8.4). Services Avahi probes for always.
func (c call) unprobed() call {
	if c.method == "AddService" || c.method == "AddServiceSubtype" {
		return c
	}
	c.args = slices.Clone(c.args)
	c.args[2] = c.args[2].(uint32) | noProbe
	return c
}

// A group is one name with its records, which Avahi publishes or withdraws
// together.
type group struct {
	key
	number    int    // which of the names to try is in use; the first is 1, 0 is none
	own       string // Avahi's own name for the host, where that is used instead
	conflicts int
	saved     string // what the store knows

	entry
	held   bool
	failed bool // to be tried again

	// The configured name is tried for while another is in use.
	trial entry
	retry time.Time       // when; zero if it is in use
	rival dbus.ObjectPath // Avahi's watch of who has it; "" if it is in use
}

// An entry is one of Avahi's groups.
type entry struct {
	calls []call          // what it holds
	path  dbus.ObjectPath // "" while nothing is published
}

// key tells groups apart.
type key struct {
	kind   discovery.Kind
	wanted string // a label, or an instance
	typ    string // of a service
}

// label is the name in use, without its domain; "" if there is none.
func (g *group) label() string {
	switch {
	case g.own != "":
		return g.own
	case g.number == 0:
		return ""
	}
	return g.kind.Numbered(g.wanted, g.number)
}

// fqdn is a complete name in the form of [discovery.NameState].
func (g *group) fqdn(label string) string {
	if label == "" {
		return ""
	}
	labels := strings.Split(label, ".") // of an alias
	switch g.kind {
	case discovery.ServiceName:
		labels = append([]string{label}, strings.Split(g.typ, ".")...)
	case discovery.HostName:
		labels = []string{label}
	}
	name, err := wire.NewName(append(labels, "local")...)
	if err != nil {
		return "" // Avahi has refused it
	}
	return name.String()
}

func (g *group) state() discovery.NameState {
	return discovery.NameState{
		Kind: g.kind, Wanted: g.fqdn(g.wanted), Name: g.fqdn(g.label()),
		Held: g.held, Conflicts: g.conflicts,
	}
}

// next gives way to the host that has the name. Aliases have no next one: who
// looks for "chat" has no use for "chat-2".
func (g *group) next(retry time.Time) {
	g.number++
	if g.kind == discovery.AliasName {
		g.number = 0
	}
	g.conflicts++
	g.retry = retry
}

// addresses are the entries of a host name: on each interface its own.
func addresses(name string, interfaces []discovery.Interface) (calls []call) {
	for _, ifi := range interfaces {
		for _, p := range ifi.Addresses {
			addr := p.Addr().Unmap().WithZone("")
			if addr.IsGlobalUnicast() || addr.IsLinkLocalUnicast() {
				calls = append(calls, call{"AddAddress", []any{int32(ifi.Index), anyProtocol, noReverse, name + ".local", addr.String()}})
			}
		}
	}
	return calls
}

// cname is the entry of an alias that points to the host's name.
func cname(alias, host string, interfaces []discovery.Interface) (calls []call) {
	target := make([]byte, 255)
	n, err := dns.PackDomainName(host+".local.", target, 0, nil, false)
	if err != nil {
		return nil
	}
	for _, ifi := range interfaces {
		calls = append(calls, call{"AddRecord", []any{int32(ifi.Index), anyProtocol, publishDefault, alias + ".local", uint16(dns.ClassINET), dns.TypeCNAME, uint32(120), target[:n]}})
	}
	return calls
}

// serviceEntries are those of a service on the named host.
func serviceEntries(instance, host string, s discovery.Service, interfaces []discovery.Interface) (calls []call) {
	txt := make([][]byte, 0, len(s.TXT))
	for _, text := range s.TXT {
		txt = append(txt, []byte(text))
	}
	for _, ifi := range interfaces {
		index := int32(ifi.Index)
		calls = append(calls, call{"AddService", []any{index, anyProtocol, publishDefault, instance, s.Type, "local", host + ".local", s.Port, txt}})
		for _, sub := range s.Subtypes {
			calls = append(calls, call{"AddServiceSubtype", []any{index, anyProtocol, publishDefault, instance, s.Type, "local", sub + "._sub." + s.Type}})
		}
	}
	return calls
}

func sameCalls(a, b []call) bool { return reflect.DeepEqual(a, b) }
