package browse

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"server22.local/appliance/discovery"
	"server22.local/appliance/discovery/internal/wire"
)

// family is an IP version, with its group (RFC 6762 §3).
type family struct {
	network string
	group   netip.AddrPort
}

var (
	ipv4Family = family{"udp4", netip.MustParseAddrPort("224.0.0.251:5353")}
	ipv6Family = family{"udp6", netip.MustParseAddrPort("[ff02::fb]:5353")}
)

const (
	mdnsPort = 5353
	// maxPacket is the most that RFC 6762 §17 allows.
	maxPacket = 9000
	// maxQuestion fits any link (RFC 6762 §17).
	maxQuestion = 1440
)

// catcher takes what packets say, and returns what is still missing. Askers of
// several interfaces call it at the same time.
type catcher interface {
	enter(m *wire.Message, iface string) []wanted
}

// asker asks on one interface in one family.
type asker struct {
	conn  *net.UDPConn
	group *net.UDPAddr
	iface string
	found catcher
	build wire.Builder
	asked map[string]bool // what was asked beyond the type, once each
}

func newAsker(i discovery.Interface, f family, found catcher) (*asker, error) {
	conn, err := net.ListenUDP(f.network, nil)
	if err != nil {
		return nil, err
	}
	if err := bind(conn, f, i.Index); err != nil {
		conn.Close()
		return nil, err
	}
	group := net.UDPAddrFromAddrPort(f.group)
	if f == ipv6Family {
		group.Zone = i.Name
	}
	return &asker{conn: conn, group: group, iface: i.Name, found: found, asked: map[string]bool{}}, nil
}

// bind has questions leave by the interface, with the hop count that
// responders check (RFC 6762 §11).
func bind(conn *net.UDPConn, f family, index int) error {
	iface := &net.Interface{Index: index}
	if f == ipv4Family {
		p := ipv4.NewPacketConn(conn)
		if err := p.SetMulticastTTL(255); err != nil {
			return err
		}
		return p.SetMulticastInterface(iface)
	}
	p := ipv6.NewPacketConn(conn)
	if err := p.SetMulticastHopLimit(255); err != nil {
		return err
	}
	return p.SetMulticastInterface(iface)
}

// run asks and listens until the context ends.
func (a *asker) run(ctx context.Context, questions ...wanted) {
	defer a.conn.Close()
	stop := context.AfterFunc(ctx, func() { a.conn.Close() })
	defer stop()
	next, left := time.Now(), repeats
	packet := make([]byte, maxPacket)
	for ctx.Err() == nil {
		if len(left) > 0 && !time.Now().Before(next) {
			a.ask(questions...)
			clear(a.asked) // what was not answered is asked again, too
			if left = left[1:]; len(left) > 0 {
				next = next.Add(left[0])
			}
		}
		if err := a.conn.SetReadDeadline(a.deadline(next, left)); err != nil {
			return
		}
		n, from, err := a.conn.ReadFromUDPAddrPort(packet)
		if err == nil && from.Port() == mdnsPort {
			a.take(packet[:n])
		}
	}
}

// deadline is when the next question is due; none when all are asked.
func (a *asker) deadline(next time.Time, left []time.Duration) time.Time {
	if len(left) == 0 {
		return time.Time{}
	}
	return next
}

// take enters what a packet says, and asks for what it leaves out.
func (a *asker) take(packet []byte) {
	var m wire.Message
	if m.Unpack(packet) != nil || !m.Response() || !m.Plain() {
		return
	}
	for _, want := range a.found.enter(&m, a.iface) {
		if key := fmt.Sprint(want.typ, want.name.Fold()); !a.asked[key] {
			a.asked[key] = true
			a.ask(want)
		}
	}
}

// ask sends all questions in one packet.
func (a *asker) ask(questions ...wanted) {
	a.build.Reset(uint16(len(questions)), 0, maxQuestion)
	for _, q := range questions {
		a.build.Question(q.name, q.typ, wire.ClassIN)
	}
	_, _ = a.conn.WriteToUDP(a.build.Bytes(), a.group) // asked again in a moment
}
