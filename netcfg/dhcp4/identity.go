package dhcp4

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// ClientID makes the client identifier (option 61) of a hardware address.
//
// "mac" (and "") is 01 and the address, which home routers key their
// reservations on; "duid" is RFC 4361's, with a DUID made of the address (type 3
// of RFC 8415 §11.4) so that it survives a new installation; "none" sends no
// option; anything else is bytes in hexadecimal, with or without colons.
func ClientID(kind string, mac [6]byte) ([]byte, error) {
	switch kind {
	case "", "mac":
		return append([]byte{1}, mac[:]...), nil
	case "duid":
		id := append([]byte{0xff}, mac[2:]...) // the IAID
		id = append(id, 0, 3, 0, 1)
		return append(id, mac[:]...), nil
	case "none":
		return nil, nil
	}
	id, err := hex.DecodeString(strings.ReplaceAll(kind, ":", ""))
	if err != nil {
		return nil, fmt.Errorf(`client identifier %q is none of "mac", "duid", "none", or bytes in hexadecimal`, kind)
	}
	if len(id) < 2 || len(id) > 255 { // RFC 2132 §9.14
		return nil, fmt.Errorf("client identifier %q has %d bytes; it takes 2 to 255", kind, len(id))
	}
	return id, nil
}

// Flags of the FQDN option (RFC 4702 §2.1).
const (
	fqdnServerUpdates = 1 << 0 // S: the server shall do the A record
	fqdnEncoded       = 1 << 2 // E: the name is in DNS wire format
)

// fqdnBytes is the FQDN option that asks the server to register a name. A name
// without a dot is a partial name, which has no root label at its end.
func fqdnBytes(name string) []byte {
	b := []byte{fqdnServerUpdates | fqdnEncoded, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		b = append(b, byte(len(label)))
		b = append(b, label...)
	}
	if strings.Contains(name, ".") {
		b = append(b, 0)
	}
	return b
}

// fqdnOption reads the name from a server's FQDN option, "" if there is none
// that is valid.
func fqdnOption(o dhcpv4.Options) string {
	b := o[optFQDN]
	if len(b) < 4 {
		return ""
	}
	name := strings.TrimSuffix(string(b[3:]), ".")
	if b[0]&fqdnEncoded != 0 {
		encoded := b[3:]
		if encoded[len(encoded)-1] != 0 {
			encoded = append(encoded[:len(encoded):len(encoded)], 0)
		}
		var ok bool
		if name, _, ok = dnsName(encoded, 0); !ok {
			return ""
		}
	}
	if !validName(name) {
		return ""
	}
	return name
}
