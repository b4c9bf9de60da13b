package dhcp4

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/goleak"

	"server22.local/appliance/netcfg/acd"
	"server22.local/appliance/netcfg/internal/arplan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	clientMAC = [6]byte{2, 0x82, 0, 0, 0, 2}
	otherMAC  = [6]byte{2, 0x82, 0, 0, 0, 9}
	serverIP  = netip.MustParseAddr("10.82.1.1")
	leasedIP  = netip.MustParseAddr("10.82.1.22")
)

// sent is a message of the client as the cable saw it.
type sent struct {
	*dhcpv4.DHCPv4
	at   time.Duration
	from netip.Addr
	to   netip.Addr
}

func (s sent) addr(code uint8) netip.Addr {
	addr, _ := addrOption(s.Options, code)
	return addr
}

// cable connects a client under test with a scripted server.
type cable struct {
	t       *testing.T
	start   time.Time
	how     Start
	answers chan Payload
	// server answers a message, with nil for silence. It may be replaced.
	server func(sent) []*dhcpv4.DHCPv4
	// afterwards is called when the last message was answered.
	log   []sent
	binds []*Lease
	lan   arplan.LAN
	store *memoryStore

	neighbour string // the router's hardware address, "" for none
	client    *Client
}

func newCable(t *testing.T) *cable {
	c := &cable{t: t, start: time.Now(), answers: make(chan Payload, 16), store: &memoryStore{}}
	c.server = c.grant
	id, _ := ClientID("mac", clientMAC)
	c.client = New(Config{
		MAC: clientMAC, ClientID: id, Hostname: "server22", Store: c.store,
		Listen:    func(context.Context) (Conn, error) { return c, nil },
		ListenARP: func(netip.Addr) (acd.Conn, error) { return c.lan.Join(), nil },
		Bind:      func(_ context.Context, l *Lease) error { c.binds = append(c.binds, l); return nil },
		Neighbour: func(context.Context, netip.Addr, netip.Addr) (string, error) {
			if c.neighbour == "" {
				return "", errors.New("no answer")
			}
			return c.neighbour, nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	return c
}

// run lets the client work for a time.
func (c *cable) run(d time.Duration) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	if err := c.client.Run(ctx, c.how); err != nil {
		c.t.Error(err)
	}
}

func (c *cable) Receive(ctx context.Context) (Payload, error) {
	select {
	case p := <-c.answers:
		return p, nil
	case <-ctx.Done():
		return Payload{}, ctx.Err()
	}
}

func (c *cable) Broadcast(m []byte) error { return c.Unicast(anyAddr, broadcastAddr, m) }
func (c *cable) BroadcastFrom(from netip.Addr, m []byte) error {
	return c.Unicast(from, broadcastAddr, m)
}

func (c *cable) Unicast(from, to netip.Addr, message []byte) error {
	m, err := dhcpv4.FromBytes(message)
	if err != nil {
		c.t.Fatalf("the client sent junk: %v", err)
	}
	s := sent{m, time.Since(c.start), from, to}
	c.log = append(c.log, s)
	for _, answer := range c.server(s) {
		c.answers <- Payload{Data: answer.ToBytes(), From: serverIP}
	}
	return nil
}

func (c *cable) Close() error { return nil }

// kinds are the types of the messages sent so far.
func (c *cable) kinds() []dhcpv4.MessageType {
	var kinds []dhcpv4.MessageType
	for _, m := range c.log {
		kinds = append(kinds, m.MessageType())
	}
	return kinds
}

func (c *cable) expect(want ...dhcpv4.MessageType) {
	c.t.Helper()
	if got := c.kinds(); !slices.Equal(got, want) {
		c.t.Fatalf("the client sent %v; want %v", got, want)
	}
}

const (
	discover = dhcpv4.MessageTypeDiscover
	offer    = dhcpv4.MessageTypeOffer
	ask      = dhcpv4.MessageTypeRequest
	ack      = dhcpv4.MessageTypeAck
	nak      = dhcpv4.MessageTypeNak
	decline  = dhcpv4.MessageTypeDecline
)

// leaseTime of the scripted server, unless a test has another.
const leaseTime = 240

// grant is a server that gives everybody the same address.
func (c *cable) grant(m sent) []*dhcpv4.DHCPv4 {
	switch m.MessageType() {
	case discover:
		return []*dhcpv4.DHCPv4{reply(m, offer, leasedIP)}
	case ask:
		return []*dhcpv4.DHCPv4{reply(m, ack, leasedIP)}
	}
	return nil
}

func silent(sent) []*dhcpv4.DHCPv4 { return nil }

// reply makes an answer with everything that a good server sends.
func reply(m sent, kind dhcpv4.MessageType, addr netip.Addr, change ...func(*dhcpv4.DHCPv4)) *dhcpv4.DHCPv4 {
	r := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: 1, TransactionID: m.TransactionID, ClientHWAddr: m.ClientHWAddr,
		ClientIPAddr: net.IPv4zero, YourIPAddr: addr.AsSlice(), ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{
			optMessageType: {byte(kind)},
			optServerID:    serverIP.AsSlice(),
			optSubnetMask:  {255, 255, 255, 0},
			optLeaseTime:   binary.BigEndian.AppendUint32(nil, leaseTime),
			optRouters:     serverIP.AsSlice(),
			optDNS:         serverIP.AsSlice(),
			optDomainName:  []byte("lan"),
		},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func with(code uint8, value ...byte) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) { m.Options[code] = value }
}

func without(code uint8) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) { delete(m.Options, code) }
}

type memoryStore struct{ lease *Lease }

func (s *memoryStore) Load() (*Lease, error) { return s.lease, nil }
func (s *memoryStore) Save(l *Lease) error   { s.lease = l; return nil }
func (s *memoryStore) Forget() error         { s.lease = nil; return nil }
