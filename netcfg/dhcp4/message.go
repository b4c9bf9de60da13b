package dhcp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// transaction is what the messages of one exchange share.
type transaction struct {
	id      dhcpv4.TransactionID
	started time.Time
}

// seconds is the "secs" field: how long the client has been trying.
func (t transaction) seconds() uint16 {
	return uint16(min(time.Since(t.started)/time.Second, 0xffff))
}

// message begins a message of a type with what all types carry.
func (s *session) message(kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootRequest,
		HWType:        1,
		TransactionID: s.transaction.id,
		NumSeconds:    s.transaction.seconds(),
		ClientIPAddr:  net.IPv4zero,
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  net.IPv4zero,
		GatewayIPAddr: net.IPv4zero,
		ClientHWAddr:  s.config.MAC[:],
		Options:       dhcpv4.Options{},
	}
	m.Options[optMessageType] = []byte{byte(kind)}
	if len(s.config.ClientID) > 0 {
		m.Options[optClientID] = s.config.ClientID
	}
	return m
}

// ask is message for DISCOVER and REQUEST, which also carry our name and what
// we want to know. The name goes as option 12 and as option 81: the routers of
// homes know only the former (RFC 4702 §3.1 would have us send one of them;
// Windows sends both, too).
func (s *session) ask(kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	m := s.message(kind)
	m.Options[optParameters] = wanted
	m.Options[optMaxMessageSize] = binary.BigEndian.AppendUint16(nil, maxPacket)
	if s.config.Hostname != "" {
		label, _, _ := strings.Cut(s.config.Hostname, ".")
		m.Options[optHostName] = []byte(label)
		m.Options[optFQDN] = fqdnBytes(s.config.Hostname)
	}
	if s.wantsBroadcast {
		m.SetBroadcast()
	}
	return m
}

// newDiscover is DISCOVER, with a wish for the address that we had.
func (s *session) newDiscover() *dhcpv4.DHCPv4 {
	m := s.ask(dhcpv4.MessageTypeDiscover)
	s.discovered = m.NumSeconds
	if s.wish.IsValid() {
		m.Options[optRequestedAddr] = s.wish.AsSlice()
	}
	if s.conflicts == 0 { // after a conflict we would rather see the offer first
		m.Options[optRapidCommit] = []byte{}
	}
	return m
}

// newRequest is the REQUEST that takes an offer. It carries the seconds of the
// DISCOVER, for the sake of relays (RFC 2131 §4.4.1).
func (s *session) newRequest(offer *Lease) *dhcpv4.DHCPv4 {
	m := s.ask(dhcpv4.MessageTypeRequest)
	m.NumSeconds = s.discovered
	m.Options[optRequestedAddr] = offer.Prefix.Addr().AsSlice()
	m.Options[optServerID] = offer.Server.AsSlice()
	return m
}

// newReboot is the REQUEST of a client that remembers its address.
func (s *session) newReboot(addr netip.Addr) *dhcpv4.DHCPv4 {
	m := s.ask(dhcpv4.MessageTypeRequest)
	m.Options[optRequestedAddr] = addr.AsSlice()
	return m
}

// newExtension is the REQUEST of renewing and rebinding.
func (s *session) newExtension(addr netip.Addr) *dhcpv4.DHCPv4 {
	m := s.ask(dhcpv4.MessageTypeRequest)
	m.ClientIPAddr = addr.AsSlice()
	m.SetUnicast() // the address works, whatever happened before
	return m
}

// newDecline says that an address is in use by somebody else. RFC 2131 table 5
// forbids it a name.
func (s *session) newDecline(lease *Lease, why string) *dhcpv4.DHCPv4 {
	m := s.message(dhcpv4.MessageTypeDecline)
	m.NumSeconds = 0
	m.Options[optRequestedAddr] = lease.Prefix.Addr().AsSlice()
	m.Options[optServerID] = lease.Server.AsSlice()
	m.Options[optMessage] = []byte(why)
	return m
}

// newRelease gives the address back.
func (s *session) newRelease(lease *Lease) *dhcpv4.DHCPv4 {
	m := s.message(dhcpv4.MessageTypeRelease)
	m.NumSeconds = 0
	m.ClientIPAddr = lease.Prefix.Addr().AsSlice()
	m.Options[optServerID] = lease.Server.AsSlice()
	return m
}

// answer is a message from a server that passed all checks that do not depend
// on the state.
type answer struct {
	kind   dhcpv4.MessageType
	xid    dhcpv4.TransactionID
	server netip.Addr
	raw    *dhcpv4.DHCPv4
}

// rapid says that an ACK answers a DISCOVER (RFC 4039).
func (a answer) rapid() bool {
	_, ok := a.raw.Options[optRapidCommit]
	return ok
}

// parseAnswer checks what any answer must have. Who leaves out the message type
// is a BOOTP server, whose addresses would be for ever: refused.
func parseAnswer(data []byte, mac [6]byte) (answer, error) {
	m, err := dhcpv4.FromBytes(data)
	if err == nil {
		err = readOverload(m.Options, data)
	}
	if err != nil {
		return answer{}, fmt.Errorf("reading a message: %w", err)
	}
	if m.OpCode != dhcpv4.OpcodeBootReply || m.HWType != 1 || len(m.ClientHWAddr) != 6 || [6]byte(m.ClientHWAddr) != mac {
		return answer{}, errors.New("not an answer to this client")
	}
	kind := m.Options[optMessageType]
	if len(kind) != 1 {
		return answer{}, errors.New("no message type")
	}
	server, ok := addrOption(m.Options, optServerID)
	if !ok || !isHost(server) {
		return answer{}, errors.New("no sensible server identifier")
	}
	a := answer{kind: dhcpv4.MessageType(kind[0]), xid: m.TransactionID, server: server, raw: m}
	switch a.kind {
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak:
		return a, nil
	}
	return answer{}, fmt.Errorf("message type %v is not for clients", a.kind)
}

// Where "sname" and "file" stand in a message (RFC 2131 §2).
const (
	snameAt   = 44
	fileAt    = snameAt + 64
	optionsAt = fileAt + 128 + 4 // after the cookie
)

// readOverload adds the options that stand in "file" and "sname", in this
// order, where the server had too many (RFC 2131 §4.1).
func readOverload(o dhcpv4.Options, message []byte) error {
	const inFile, inSname = 1, 2
	overload, ok := o[optOverload]
	if !ok || len(overload) != 1 {
		return nil
	}
	var err error
	if overload[0]&inFile != 0 {
		err = o.FromBytes(message[fileAt : fileAt+128])
	}
	if overload[0]&inSname != 0 {
		err = errors.Join(err, o.FromBytes(message[snameAt:fileAt]))
	}
	return err
}

// encode writes a message with its type as the first option, where servers of
// the simplest kind look for it. The library sorts options by their codes.
func encode(m *dhcpv4.DHCPv4) []byte {
	b := m.ToBytes()
	for at := optionsAt; at+2 < len(b) && b[at] < optMessageType; at += 2 + int(b[at+1]) {
		if next := at + 2 + int(b[at+1]); next+3 <= len(b) && b[next] == optMessageType {
			kind := [3]byte(b[next:])
			copy(b[optionsAt+len(kind):], b[optionsAt:next])
			copy(b[optionsAt:], kind[:])
			break
		}
	}
	return b
}
