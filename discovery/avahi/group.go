package avahi

import (
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"
	"github.com/miekg/dns"

	"server22.local/appliance/discovery"
)

// Values of Avahi's interface.
const (
	anyProtocol    = int32(-1)
	publishDefault = uint32(0)
	noReverse      = uint32(16)

	groupEstablished = int32(2)
	groupCollision   = int32(3)
	groupFailure     = int32(4)

	serverRunning = int32(2)

	collisionError = service + ".CollisionError"
)

// A call adds one entry to a group.
type call struct {
	method string
	args   []any
}

// A group is one name with its records, which Avahi publishes or withdraws
// together.
type group struct {
	kind      discovery.Kind
	wanted    string // a label, or an instance
	typ       string // of a service
	number    int    // which of the names to try is in use; the first is 1
	conflicts int

	calls  []call          // what is published
	path   dbus.ObjectPath // "" while nothing is
	held   bool
	failed bool // to be tried again
}

// key tells groups apart.
type key struct {
	kind        discovery.Kind
	wanted, typ string
}

// label is the name in use, without its domain.
func (g *group) label() string {
	if g.number <= 1 {
		return g.wanted
	}
	suffix := "-" + strconv.Itoa(g.number)
	if g.kind == discovery.ServiceName {
		suffix = " (" + strconv.Itoa(g.number) + ")"
	}
	base := g.wanted
	for len(base)+len(suffix) > 63 {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + suffix
}

// fqdn is a complete name in the form of [discovery.NameState].
func (g *group) fqdn(label string) string {
	if g.kind == discovery.ServiceName {
		var escaped strings.Builder
		for _, r := range label {
			if r == '.' || r == '\\' {
				escaped.WriteString(`\`)
			}
			escaped.WriteString(string(r))
		}
		return escaped.String() + "." + g.typ + ".local."
	}
	return label + ".local."
}

func (g *group) state() discovery.NameState {
	return discovery.NameState{
		Kind: g.kind, Wanted: g.fqdn(g.wanted), Name: g.fqdn(g.label()),
		Held: g.held, Conflicts: g.conflicts,
	}
}

// next gives way to the host that has the name.
func (g *group) next() {
	g.number++
	g.conflicts++
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
