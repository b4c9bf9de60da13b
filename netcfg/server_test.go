package netcfg

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/netnstest"
)

// script is a DHCP server that does what a test says. Its answers are broadcast.
type script struct {
	t    *testing.T
	conn net.PacketConn

	mu sync.Mutex // guards all following fields
	// answer makes the answers to a message.
	answer func(m *dhcpv4.DHCPv4, unicast bool) []*dhcpv4.DHCPv4
	log    []heard
}

// heard is a message of the client.
type heard struct {
	*dhcpv4.DHCPv4
	from netip.AddrPort
	at   time.Time
}

// script starts a server on the bridge.
func (n *network) script(answer func(m *dhcpv4.DHCPv4, unicast bool) []*dhcpv4.DHCPv4) *script {
	n.t.Helper()
	s := &script{t: n.t, answer: answer}
	n.lan.Do(func() {
		config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
				_ = unix.BindToDevice(int(fd), "br0")
			})
		}}
		var err error
		if s.conn, err = config.ListenPacket(context.Background(), "udp4", "0.0.0.0:67"); err != nil {
			n.t.Fatal(err)
		}
	})
	var serving sync.WaitGroup
	serving.Go(s.serve)
	n.t.Cleanup(func() {
		_ = s.conn.Close()
		serving.Wait()
	})
	return s
}

func (s *script) serve() {
	buffer := make([]byte, 2048)
	for {
		size, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		m, err := dhcpv4.FromBytes(slices.Clone(buffer[:size]))
		if err != nil {
			s.t.Errorf("the client sent junk: %v", err)
			continue
		}
		addr := from.(*net.UDPAddr).AddrPort()
		s.mu.Lock()
		s.log = append(s.log, heard{m, addr, time.Now()})
		answers := s.answer(m, !addr.Addr().IsUnspecified())
		s.mu.Unlock()
		for _, a := range answers {
			_, _ = s.conn.WriteTo(a.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68})
		}
	}
}

// heard lists the messages of a type so far.
func (s *script) heard(kind dhcpv4.MessageType) (list []heard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.log {
		if m.MessageType() == kind {
			list = append(list, m)
		}
	}
	return list
}

func (s *script) replace(answer func(m *dhcpv4.DHCPv4, unicast bool) []*dhcpv4.DHCPv4) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// answerTo makes a good answer of a type.
func answerTo(m *dhcpv4.DHCPv4, kind dhcpv4.MessageType, addr string, seconds uint32) *dhcpv4.DHCPv4 {
	return &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: 1, TransactionID: m.TransactionID, ClientHWAddr: m.ClientHWAddr,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.ParseIP(addr), ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{
			53: {byte(kind)}, 54: {10, 82, 1, 1}, 1: {255, 255, 255, 0}, 3: {10, 82, 1, 1},
			51: binary.BigEndian.AppendUint32(nil, seconds),
		},
	}
}

// lease24 gives everybody one address for so many seconds.
func leaseFor(addr string, seconds uint32) func(*dhcpv4.DHCPv4, bool) []*dhcpv4.DHCPv4 {
	return func(m *dhcpv4.DHCPv4, _ bool) []*dhcpv4.DHCPv4 {
		switch m.MessageType() {
		case dhcpv4.MessageTypeDiscover:
			return []*dhcpv4.DHCPv4{answerTo(m, dhcpv4.MessageTypeOffer, addr, seconds)}
		case dhcpv4.MessageTypeRequest:
			return []*dhcpv4.DHCPv4{answerTo(m, dhcpv4.MessageTypeAck, addr, seconds)}
		}
		return nil
	}
}

// A lease of ten seconds is renewed by unicast at its half, the kernel's
// lifetime follows; then the server refuses by a broadcast NAK, and the address
// goes at once; the next one comes.
func TestShortLeases(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	s := n.script(leaseFor("10.82.1.22", 10))
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.22/24", soon)
	netnstest.Eventually(t, soon, "a renewal", func() bool { return len(s.heard(dhcpv4.MessageTypeRequest)) == 2 })
	requests := s.heard(dhcpv4.MessageTypeRequest)
	gap, renewal := requests[1].at.Sub(requests[0].at), requests[1]
	if gap < 4*time.Second || gap > 6*time.Second { // they are heard late on a busy machine
		t.Errorf("renewed after %v; T1 is 5 s", gap)
	}
	if renewal.from.String() != "10.82.1.22:68" || !renewal.ClientIPAddr.Equal(net.IPv4(10, 82, 1, 22)) || len(renewal.Options[50]) != 0 {
		t.Errorf("renewed from %v by %v", renewal.from, renewal.Summary())
	}
	netnstest.Eventually(t, soon, "the kernel to know of the renewal", func() bool {
		line := n.dev.Run("ip", "-4", "-o", "addr", "show", "dev", "eth0")
		return strings.Contains(line, "valid_lft 9sec") || strings.Contains(line, "valid_lft 10sec")
	})

	s.replace(func(m *dhcpv4.DHCPv4, unicast bool) []*dhcpv4.DHCPv4 {
		if unicast {
			forged := answerTo(m, dhcpv4.MessageTypeNak, "0.0.0.0", 0)
			forged.Options[54] = []byte{10, 82, 1, 66}
			return []*dhcpv4.DHCPv4{forged}
		}
		return leaseFor("10.82.1.23", 10)(m, unicast)
	})
	netnstest.Eventually(t, soon, "the next renewal", func() bool { return len(s.heard(dhcpv4.MessageTypeRequest)) >= 3 })
	d.has("10.82.1.22/24", 0) // the NAK was not our server's
	s.replace(func(m *dhcpv4.DHCPv4, unicast bool) []*dhcpv4.DHCPv4 {
		if unicast {
			return []*dhcpv4.DHCPv4{answerTo(m, dhcpv4.MessageTypeNak, "0.0.0.0", 0)}
		}
		return leaseFor("10.82.1.23", 10)(m, unicast)
	})
	d.lacks("10.82.1.22/24", soon)
	d.has("10.82.1.23/24", soon)
}

// A daemon that was killed leaves an address that ends with its lease.
func TestTheKernelEndsTheLease(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.script(leaseFor("10.82.1.22", 4))
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.22/24", soon)
	d.Kill()
	d.lacks("10.82.1.22/24", 6*time.Second)
	netnstest.Eventually(t, time.Second, "the routes to be gone", func() bool { return n.dev.Run("ip", "route") == "" })
}

func TestForgedOffersOnTheCable(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.script(func(m *dhcpv4.DHCPv4, unicast bool) []*dhcpv4.DHCPv4 {
		good := leaseFor("10.82.1.22", 60)(m, unicast)
		if m.MessageType() != dhcpv4.MessageTypeDiscover {
			return good
		}
		var forged []*dhcpv4.DHCPv4
		for _, forge := range []func(*dhcpv4.DHCPv4){
			func(r *dhcpv4.DHCPv4) { r.TransactionID[0] ^= 1 },
			func(r *dhcpv4.DHCPv4) { r.ClientHWAddr = net.HardwareAddr{2, 0, 0, 0, 0, 1} },
			func(r *dhcpv4.DHCPv4) { r.Options[53] = nil },
			func(r *dhcpv4.DHCPv4) { delete(r.Options, 53) },
			func(r *dhcpv4.DHCPv4) { delete(r.Options, 54) },
			func(r *dhcpv4.DHCPv4) { r.YourIPAddr = net.IPv4(224, 1, 1, 1) },
			func(r *dhcpv4.DHCPv4) { r.YourIPAddr = net.IPv4bcast },
			func(r *dhcpv4.DHCPv4) { r.OpCode = dhcpv4.OpcodeBootRequest },
		} {
			r := answerTo(m, dhcpv4.MessageTypeOffer, "10.82.1.66", 60)
			forge(r)
			forged = append(forged, r)
		}
		return append(forged, good...)
	})
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.22/24", soon)
}

// All of it works without root: with the three capabilities alone.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	s := n.script(leaseFor("10.82.1.22", 6))
	d := &device{t: t, ns: n.dev, state: t.TempDir()}
	chown(t, d.state)
	copyProgram(t, d.state+"/program")
	d.run(Settings{Mode: ModeDHCP}, unprivileged(d))
	d.has("10.82.1.22/24", soon)
	netnstest.Eventually(t, soon, "a renewal by unicast", func() bool {
		requests := s.heard(dhcpv4.MessageTypeRequest)
		return len(requests) >= 2 && requests[1].from.Addr() == netip.MustParseAddr("10.82.1.22")
	})
	if out := d.Output(); strings.Contains(out, "level=WARN") || strings.Contains(out, "level=ERROR") {
		t.Errorf("it complained:\n%s", out)
	}
}

// A DHCP client of somebody else makes us stop, and we do not touch its address.
func TestForeignClient(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dnsmasq()
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.1[0-9][0-9]:24", soon)
	n.dev.Run("ip", "route", "add", "default", "via", "10.82.1.1", "proto", "dhcp")
	d.WaitOutput("another program configures the interface", soon)
	netnstest.Eventually(t, soon, "the report", func() bool {
		r := d.report()
		return !r.Configures && r.Owner != nil && r.Owner.Name == "DHCP client"
	})
	if routes := n.dev.Run("ip", "route"); !strings.Contains(routes, "proto dhcp") || strings.Contains(routes, "proto 161") {
		t.Errorf("routes:\n%s", routes)
	}
	if got := d.addrs(); len(got) != 1 {
		t.Errorf("addresses %v", got)
	}
	// What the hand-over tells to do is noticed at once.
	n.dev.Run("ip", "route", "flush", "dev", "eth0", "proto", "dhcp")
	netnstest.Eventually(t, soon, "it to be ours again", func() bool {
		return strings.Contains(n.dev.Run("ip", "route"), "proto 161") && d.report().Owner == nil
	})
}

func TestObserveChangesNothing(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dnsmasq()
	d := n.start(Settings{Mode: ModeObserve})
	netnstest.Eventually(t, soon, "the report", func() bool { return d.report().Interface == "eth0" })
	if r := d.report(); r.Configures || r.Up || r.MAC.String() != deviceMAC || r.DHCP != nil {
		t.Errorf("report %+v", r)
	}
	n.dev.Up("eth0")
	netnstest.Eventually(t, soon, "carrier", func() bool { return d.report().Carrier })
	if got := d.addrs(); len(got) != 0 {
		t.Errorf("addresses %v", got)
	}
}
