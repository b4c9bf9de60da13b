package discovery

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"server22.local/appliance/discovery/internal/wire"
)

// ErrInvalid is what a name, an alias or a service is refused with.
var ErrInvalid = errors.New("not valid")

// A Service is one instance of a type of service on this host, as DNS-SD
// (RFC 6763) lists it.
type Service struct {
	// Instance is what a person sees: 1 to 63 bytes of UTF-8, in which dots,
	// spaces and capitals are welcome. If another host has it already, it
	// becomes "My Web (2)". Empty means the host's configured name.
	Instance string

	// Type is as registered with IANA, with its protocol: "_http._tcp".
	Type string

	// Subtypes narrow a search: "_printer" makes the service be found as
	// _printer._sub._http._tcp too.
	Subtypes []string

	// Port is where it listens.
	Port uint16

	// TXT is what else a client has to know before it connects: "key=value",
	// or "key" alone. Keys are 1 or more printable ASCII characters, and
	// each string has at most 255 bytes (RFC 6763 §6).
	TXT []string
}

// An Alias is a further name of the host.
type Alias struct {
	// Name without its domain: "chat" is found as chat.local. It may have
	// several labels, "chat.server22".
	Name string

	// CNAME points to the host's name instead of giving the addresses. It is
	// what unicast DNS would do, but Windows does not follow it.
	CNAME bool
}

// maxTXT is the size from which the data of a TXT record may not fit into one
// packet with the rest (RFC 6763 §6.2).
const maxTXT = 1300

var (
	dnssd       = wire.MustName("_services", "_dns-sd", "_udp", "local")
	reverseIPv4 = []string{"in-addr", "arpa"}
	reverseIPv6 = []string{"ip6", "arpa"}
)

func validHost(name string) error {
	if err := validLabel("host name", name); err != nil {
		return err
	}
	if strings.Contains(name, ".") {
		return fmt.Errorf("host name %q: %w: it is one label, without dots; %q is added by itself", name, ErrInvalid, ".local")
	}
	return nil
}

func (a Alias) validate() error {
	for label := range strings.SplitSeq(a.Name, ".") {
		if err := validLabel("alias", label); err != nil {
			return err
		}
	}
	_, err := a.name()
	return err
}

func (a Alias) name() (wire.Name, error) {
	n, err := wire.NewName(append(strings.Split(a.Name, "."), "local")...)
	if err != nil {
		return "", fmt.Errorf("alias %q: %w: %w", a.Name, ErrInvalid, err)
	}
	return n, nil
}

// validLabel accepts what people call their hosts and services: any UTF-8
// without control characters (RFC 6762 §16, RFC 6763 §4.1.1).
func validLabel(what, label string) error {
	switch {
	case label == "" || len(label) > wire.MaxLabel:
		return fmt.Errorf("%s %q: %w: it has %d bytes, not 1 to %d", what, label, ErrInvalid, len(label), wire.MaxLabel)
	case !utf8.ValidString(label):
		return fmt.Errorf("%s %q: %w: it is not UTF-8", what, label, ErrInvalid)
	case strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%s %q: %w: it contains a control character", what, label, ErrInvalid)
	}
	return nil
}

func (s Service) validate() error {
	if err := validLabel("instance name", s.Instance); err != nil {
		return err
	}
	if err := validType(s.Type); err != nil {
		return err
	}
	for _, sub := range s.Subtypes {
		if err := validLabel("subtype", sub); err != nil {
			return err
		}
	}
	return validTXT(s.TXT)
}

// validType checks the form of RFC 6763 §4.1.2 and §7, and RFC 6335 §5.1.
func validType(typ string) error {
	service, proto, ok := strings.Cut(typ, ".")
	if !ok || proto != "_tcp" && proto != "_udp" {
		return fmt.Errorf("service type %q: %w: it ends in ._tcp or ._udp", typ, ErrInvalid)
	}
	name, ok := strings.CutPrefix(service, "_")
	switch {
	case !ok || name == "" || len(name) > 15:
		return fmt.Errorf("service type %q: %w: it begins with _ and 1 to 15 characters", typ, ErrInvalid)
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "",
		strings.HasPrefix(name, "-"), strings.HasSuffix(name, "-"), strings.Contains(name, "--"):
		return fmt.Errorf("service type %q: %w: letters, digits, and single hyphens between them", typ, ErrInvalid)
	case !strings.ContainsAny(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"):
		return fmt.Errorf("service type %q: %w: it has no letter", typ, ErrInvalid)
	}
	return nil
}

func validTXT(txt []string) error {
	keys := make(map[string]bool)
	total := 0
	for _, s := range txt {
		key, _, _ := strings.Cut(s, "=")
		folded := strings.ToLower(key)
		switch {
		case len(s) > 255:
			return fmt.Errorf("TXT %q: %w: %d bytes are more than 255", s, ErrInvalid, len(s))
		case key == "":
			return fmt.Errorf("TXT %q: %w: it has no key", s, ErrInvalid)
		case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
			return fmt.Errorf("TXT %q: %w: a key is printable ASCII", s, ErrInvalid)
		case keys[folded]:
			return fmt.Errorf("TXT %q: %w: the key is there already, and only its first value would be read", s, ErrInvalid)
		}
		keys[folded] = true
		total += 1 + len(s)
	}
	if total > maxTXT {
		return fmt.Errorf("TXT: %w: %d bytes are more than %d", ErrInvalid, total, maxTXT)
	}
	return nil
}

// typeLabels are the labels of the type with its domain.
func (s Service) typeLabels() []string {
	service, proto, _ := strings.Cut(s.Type, ".")
	return []string{service, proto, "local"}
}

// key is what one host's services differ by.
func (s Service) key() string {
	n, err := wire.NewName(append([]string{s.Instance}, s.typeLabels()...)...)
	if err != nil {
		return ""
	}
	return string(n.Fold())
}

// data is what the TXT record holds: at least one string (RFC 6763 §6.1).
func (s Service) data() []byte {
	var b []byte
	for _, text := range s.TXT {
		b = append(b, byte(len(text)))
		b = append(b, text...)
	}
	if len(b) == 0 {
		return []byte{0}
	}
	return b
}
