package dhcp4

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"server22.local/appliance/netcfg/acd"
)

func TestLeaseInAQuarterOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.neighbour = "02:82:00:00:00:01"
		start := time.Now()
		var bound time.Duration
		bind := c.client.config.Bind
		c.client.config.Bind = func(ctx context.Context, l *Lease) error { bound = time.Since(start); return bind(ctx, l) }
		c.run(10 * time.Second)
		c.expect(discover, ask)
		if len(c.binds) != 1 || c.binds[0].Prefix != netip.PrefixFrom(leasedIP, 24) {
			t.Fatalf("bound %v", c.binds)
		}
		if bound > 250*time.Millisecond {
			t.Errorf("took %v", bound)
		}
		first, second := c.log[0], c.log[1]
		for _, m := range c.log {
			if m.from != anyAddr || m.to != broadcastAddr || !m.ClientIPAddr.IsUnspecified() || m.IsBroadcast() {
				t.Errorf("%v goes from %v to %v, ciaddr %v, broadcast %v", m.MessageType(), m.from, m.to, m.ClientIPAddr, m.IsBroadcast())
			}
			if got := string(m.Options[optHostName]); got != "server22" {
				t.Errorf("%v: host name %q", m.MessageType(), got)
			}
			if got := string(m.Options[optFQDN]); got != "\x05\x00\x00\x08server22" {
				t.Errorf("%v: fqdn %q", m.MessageType(), got)
			}
			if !bytes.Equal(m.Options[optClientID], []byte{1, 2, 0x82, 0, 0, 0, 2}) {
				t.Errorf("%v: client id %v", m.MessageType(), m.Options[optClientID])
			}
			if !bytes.Equal(m.Options[optParameters], wanted) {
				t.Errorf("%v: parameters %v", m.MessageType(), m.Options[optParameters])
			}
		}
		if first.TransactionID != second.TransactionID {
			t.Error("the request is of another transaction than the offer")
		}
		if second.addr(optRequestedAddr) != leasedIP || second.addr(optServerID) != serverIP {
			t.Errorf("requested %v of %v", second.addr(optRequestedAddr), second.addr(optServerID))
		}
		if s := c.store.lease; s == nil || s.RouterMAC != "02:82:00:00:00:01" {
			t.Errorf("saved %+v", s)
		}
		if st := c.client.Status(); st.State != Stopped || st.Lease == nil {
			t.Errorf("status %+v", st)
		}
	})
}

func TestBackoffAndBroadcastFlag(t *testing.T) {
	for _, test := range []struct {
		start Start
		gaps  []time.Duration // in milliseconds
	}{
		{Fresh, []time.Duration{4000, 8000, 16000, 16000}},
		{Plugged, []time.Duration{250, 4000, 8000, 16000, 16000}},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCable(t)
			c.server, c.how = silent, test.start
			c.run(58 * time.Second)
			if len(c.log) <= len(test.gaps) {
				t.Fatalf("%d messages; want more than %d", len(c.log), len(test.gaps))
			}
			for i, want := range test.gaps {
				want *= time.Millisecond
				gap, spread := c.log[i+1].at-c.log[i].at, min(want/4, time.Second)
				if gap < want-spread || gap > want+spread {
					t.Errorf("gap %d is %v; want %v ± %v", i, gap, want, spread)
				}
				if c.log[i+1].TransactionID != c.log[i].TransactionID {
					t.Error("a repetition is of another transaction")
				}
			}
			for i, m := range c.log {
				if m.IsBroadcast() != (i >= silentTries) {
					t.Errorf("try %d: broadcast flag %v", i, m.IsBroadcast())
				}
				if want := uint16(m.at / time.Second); m.NumSeconds != want {
					t.Errorf("try %d: %d s; want %d", i, m.NumSeconds, want)
				}
			}
		})
	}
}

func TestLateServerIsFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			if m.at < 100*time.Second {
				return nil
			}
			return c.grant(m)
		}
		c.run(118 * time.Second)
		if len(c.binds) == 0 {
			t.Error("no lease 18 s after the server came")
		}
	})
}

func TestRapidCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			if _, ok := m.Options[optRapidCommit]; ok && m.MessageType() == discover {
				return []*dhcpv4.DHCPv4{reply(m, ack, leasedIP, with(optRapidCommit))}
			}
			return nil
		}
		c.run(time.Second)
		c.expect(discover)
		if len(c.binds) != 1 {
			t.Errorf("bound %v", c.binds)
		}
	})
}

func TestAckToDiscoverWithoutRapidCommitIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.server = func(m sent) []*dhcpv4.DHCPv4 { return []*dhcpv4.DHCPv4{reply(m, ack, leasedIP)} }
		c.run(2 * time.Second)
		if len(c.binds) != 0 {
			t.Errorf("bound %v", c.binds)
		}
	})
}

func TestRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.run(leaseTime * time.Second * 3)
		for i, m := range c.log[2:] {
			if m.MessageType() != ask || m.from != leasedIP || m.to != serverIP {
				t.Errorf("renewal %d: %v from %v to %v", i, m.MessageType(), m.from, m.to)
			}
			if !m.ClientIPAddr.Equal(net.IP(leasedIP.AsSlice())) || m.addr(optRequestedAddr).IsValid() || m.addr(optServerID).IsValid() {
				t.Errorf("renewal %d: ciaddr %v, options %v", i, m.ClientIPAddr, m.Options)
			}
			if string(m.Options[optHostName]) != "server22" || len(m.Options[optFQDN]) == 0 {
				t.Errorf("renewal %d carries no name", i)
			}
			gap := m.at - c.log[i+1].at
			if gap < leaseTime*time.Second/2*95/100 || gap > leaseTime*time.Second/2 {
				t.Errorf("renewal %d comes after %v", i, gap)
			}
		}
		if len(c.binds) < 6 {
			t.Errorf("bound %d times", len(c.binds))
		}
		for _, l := range c.binds {
			if l == nil {
				t.Error("the address was dropped")
			}
		}
	})
}

func TestRebindsAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		granted := false
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			if granted {
				return nil
			}
			granted = m.MessageType() == ask
			return c.grant(m)
		}
		c.run(leaseTime*time.Second + 700*time.Millisecond)
		if len(c.binds) != 2 || c.binds[1] != nil {
			t.Fatalf("bound %v; want a lease and its end", c.binds)
		}
		const lease = leaseTime * time.Second
		unicast, broadcast := 0, 0
		for _, m := range c.log[2 : len(c.log)-1] {
			switch {
			case m.to == serverIP:
				unicast++
				if m.at >= lease*7/8+time.Second {
					t.Errorf("unicast after %v", m.at)
				}
			default:
				broadcast++
				if m.from != leasedIP || m.at < lease*7/8 {
					t.Errorf("broadcast from %v after %v", m.from, m.at)
				}
			}
		}
		if unicast < 3 || broadcast < 2 {
			t.Errorf("%d unicast, %d broadcast", unicast, broadcast)
		}
		last := c.log[len(c.log)-1]
		if last.MessageType() != discover || last.addr(optRequestedAddr) != leasedIP || last.at < lease {
			t.Errorf("after expiry: %v after %v", last.MessageType(), last.at)
		}
	})
}

func TestRebindingFindsAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			switch {
			case m.MessageType() == discover || m.from == anyAddr:
				return c.grant(m)
			case m.to == broadcastAddr:
				return []*dhcpv4.DHCPv4{reply(m, ack, leasedIP, with(optServerID, 10, 82, 1, 3))}
			}
			return nil
		}
		c.run((leaseTime - 5) * time.Second)
		if last := c.binds[len(c.binds)-1]; last == nil || last.Server != netip.MustParseAddr("10.82.1.3") {
			t.Errorf("bound %+v", last)
		}
	})
}

// A server that changed its mind says so by a NAK: the address goes at once and
// a new one is asked for, in every state.
func TestNAK(t *testing.T) {
	refuse := func(m sent) []*dhcpv4.DHCPv4 {
		return []*dhcpv4.DHCPv4{reply(m, nak, anyAddr, without(optLeaseTime))}
	}
	for name, test := range map[string]struct {
		refused func(m sent) bool
		saved   bool
		within  time.Duration
	}{
		"requesting": {func(m sent) bool { return m.addr(optServerID).IsValid() }, false, 2 * time.Second},
		"reboot":     {func(m sent) bool { return m.addr(optRequestedAddr).IsValid() && !m.addr(optServerID).IsValid() }, true, time.Second},
		"renewing":   {func(m sent) bool { return m.to == serverIP }, false, leaseTime*time.Second/2 + time.Second},
		"rebinding":  {func(m sent) bool { return m.from == leasedIP && m.to == broadcastAddr }, false, leaseTime*time.Second*7/8 + 5*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCable(t)
				if test.saved {
					c.store.lease = &Lease{Prefix: netip.MustParsePrefix("10.99.0.5/24"), Server: serverIP,
						Obtained: time.Now(), Duration: time.Hour, RenewAfter: 30 * time.Minute, RebindAfter: 50 * time.Minute}
				}
				refusals := 0
				c.server = func(m sent) []*dhcpv4.DHCPv4 {
					if m.MessageType() == ask && test.refused(m) && refusals == 0 {
						refusals++
						return refuse(m)
					}
					if m.MessageType() == ask && m.from == leasedIP && refusals == 0 {
						return nil // so that rebinding is reached
					}
					return c.grant(m)
				}
				c.run(test.within)
				if refusals != 1 {
					t.Fatalf("%d refusals", refusals)
				}
				if last := c.binds[len(c.binds)-1]; last == nil || last.Prefix.Addr() != leasedIP {
					t.Errorf("bound %v at the end", last)
				}
				if name == "renewing" || name == "rebinding" {
					if len(c.binds) != 3 || c.binds[1] != nil {
						t.Errorf("bound %v; want a lease, none, and another", c.binds)
					}
				}
			})
		})
	}
}

func TestForgedNAKsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			forged := []*dhcpv4.DHCPv4{
				reply(m, nak, anyAddr, with(optServerID, 10, 82, 1, 66)),
				reply(m, nak, anyAddr, func(r *dhcpv4.DHCPv4) { r.TransactionID[0]++ }),
				reply(m, nak, anyAddr, func(r *dhcpv4.DHCPv4) { r.ClientHWAddr = otherMAC[:] }),
				reply(m, nak, anyAddr, without(optServerID)),
			}
			if m.MessageType() == discover {
				return append([]*dhcpv4.DHCPv4{reply(m, nak, anyAddr)}, c.grant(m)...)
			}
			return append(forged, c.grant(m)...)
		}
		c.run(leaseTime * time.Second * 3 / 4)
		for _, l := range c.binds {
			if l == nil {
				t.Error("a forged NAK took the address away")
			}
		}
		if len(c.binds) != 2 {
			t.Errorf("bound %d times; want the lease and its renewal", len(c.binds))
		}
	})
}

func TestHostileOffersAreRefused(t *testing.T) {
	for name, change := range map[string]func(*dhcpv4.DHCPv4){
		"another transaction": func(m *dhcpv4.DHCPv4) { m.TransactionID[3]++ },
		"another client":      func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = otherMAC[:] },
		"a request":           func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest },
		"token ring":          func(m *dhcpv4.DHCPv4) { m.HWType = 6 },
		"no message type":     without(optMessageType),
		"empty message type":  with(optMessageType),
		"no server":           without(optServerID),
		"server 0.0.0.0":      with(optServerID, 0, 0, 0, 0),
		"multicast server":    with(optServerID, 224, 0, 0, 1),
		"short server":        with(optServerID, 10, 82, 1),
		"no mask":             without(optSubnetMask),
		"torn mask":           with(optSubnetMask, 255, 0, 255, 0),
		"mask of everything":  with(optSubnetMask, 0, 0, 0, 0),
		"no lease time":       without(optLeaseTime),
		"lease time of zero":  with(optLeaseTime, 0, 0, 0, 0),
		"short lease time":    with(optLeaseTime, 0, 1),
		"address 0.0.0.0":     func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4zero },
		"multicast address":   func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(224, 0, 0, 5) },
		"reserved address":    func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(240, 1, 2, 3) },
		"loopback address":    func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(127, 0, 0, 1) },
		"broadcast address":   func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(10, 82, 1, 255) },
		"network address":     func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(10, 82, 1, 0) },
		"link-local address":  func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(169, 254, 3, 3) },
		"the server's own":    func(m *dhcpv4.DHCPv4) { m.YourIPAddr = serverIP.AsSlice() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCable(t)
				c.server = func(m sent) []*dhcpv4.DHCPv4 {
					if m.MessageType() == discover {
						return []*dhcpv4.DHCPv4{reply(m, offer, leasedIP, change)}
					}
					return c.grant(m)
				}
				c.run(700 * time.Millisecond)
				c.expect(discover)
				if len(c.binds) != 0 {
					t.Errorf("bound %v", c.binds[0])
				}
			})
		})
	}
}

func TestOddOptionsAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		odd := []func(*dhcpv4.DHCPv4){
			with(optDomainName, []byte("evil\nnameserver 6.6.6.6")...),
			with(optDNS, 0, 0, 0, 0, 10, 82, 1, 53, 255, 255, 255, 255),
			with(optRouters, 10, 82, 1, 22, 10, 82, 1, 254),
			with(optMTU, 0, 68),
			with(optCaptivePortal, []byte("javascript:alert(1)")...),
			with(optDomainSearch, []byte("\x03lan\x00\x04a\n.b\x00")...),
			with(optStaticRoutes, 33, 10, 0, 0, 0, 10, 82, 1, 1),
			with(optT1, 0, 0, 1, 0), with(optT2, 0, 0, 0, 9),
			with(optBroadcast, 1, 2, 3, 4),
		}
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			if m.MessageType() == ask {
				return []*dhcpv4.DHCPv4{reply(m, ack, leasedIP, odd...)}
			}
			return c.grant(m)
		}
		c.run(time.Second)
		if len(c.binds) != 1 {
			t.Fatalf("bound %v", c.binds)
		}
		l := c.binds[0]
		if l.Domain != "" || l.MTU != 0 || l.CaptivePortal != "" || len(l.Routes) != 0 ||
			len(l.DNS) != 1 || len(l.Routers) != 1 || l.Routers[0] != netip.MustParseAddr("10.82.1.254") ||
			len(l.Search) != 1 || l.Search[0] != "lan" || l.Broadcast != netip.MustParseAddr("10.82.1.255") ||
			l.RenewAfter > leaseTime/2*time.Second || l.RebindAfter != leaseTime/8*7*time.Second {
			t.Errorf("took %+v", l)
		}
	})
}

func TestAllOptionsAreUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		full := []func(*dhcpv4.DHCPv4){
			with(optDomainSearch, []byte("\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04")...), // the example of RFC 3397 §2
			with(optStaticRoutes, 0, 10, 82, 1, 254, 16, 10, 99, 0, 0, 0, 0, 24, 192, 168, 7, 10, 82, 1, 253),
			with(optMTU, 5, 120), with(optNTP, 10, 82, 1, 123),
			with(optT1, 0, 0, 0, 100), with(optT2, 0, 0, 0, 200),
			with(optCaptivePortal, []byte("https://portal.example/api")...),
			with(optFQDN, []byte("\x05\xff\xff\x08server22\x03lan\x00")...),
		}
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			if m.MessageType() == ask {
				return []*dhcpv4.DHCPv4{reply(m, ack, leasedIP, full...)}
			}
			return c.grant(m)
		}
		c.run(time.Second)
		l := c.binds[0]
		if len(l.Search) != 2 || l.Search[1] != "marketing.apple.com" || l.MTU != 1400 || len(l.NTP) != 1 ||
			l.CaptivePortal != "https://portal.example/api" || l.FQDN != "server22.lan" || len(l.Routers) != 0 {
			t.Errorf("took %+v", l)
		}
		if l.RenewAfter > 100*time.Second || l.RenewAfter < 95*time.Second || l.RebindAfter != 200*time.Second {
			t.Errorf("renews after %v, rebinds after %v", l.RenewAfter, l.RebindAfter)
		}
		want := []Route{
			{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.82.1.254")},
			{netip.MustParsePrefix("10.99.0.0/16"), netip.Addr{}},
			{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParseAddr("10.82.1.253")},
		}
		if len(l.Routes) != 3 || l.Routes[0] != want[0] || l.Routes[1] != want[1] || l.Routes[2] != want[2] {
			t.Errorf("routes %v", l.Routes)
		}
	})
}

func TestForeverLeaseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			kind := map[dhcpv4.MessageType]dhcpv4.MessageType{discover: offer, ask: ack}[m.MessageType()]
			return []*dhcpv4.DHCPv4{reply(m, kind, leasedIP, with(optLeaseTime, 255, 255, 255, 255))}
		}
		c.run(1000 * time.Hour)
		c.expect(discover, ask)
		if l := c.binds[0]; l.Duration != Forever || !l.Expires().IsZero() || l.Expired() {
			t.Errorf("bound %+v", l)
		}
	})
}

func TestRebootKeepsTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.run(time.Second)
		c.log, c.start = nil, time.Now()
		c.run(time.Second) // the cable was pulled, and is in again
		c.expect(ask)
		m := c.log[0]
		if m.addr(optRequestedAddr) != leasedIP || m.addr(optServerID).IsValid() || !m.ClientIPAddr.IsUnspecified() || m.to != broadcastAddr {
			t.Errorf("asked by %v", m.Summary())
		}
		for _, l := range c.binds {
			if l == nil {
				t.Error("the address was dropped in between")
			}
		}
	})
}

func TestRebootWithoutAServer(t *testing.T) {
	for name, test := range map[string]struct {
		router string
		keeps  bool
	}{
		"the router of last time": {"02:82:00:00:00:01", true},
		"another router":          {"02:82:00:00:00:77", false},
		"nobody has its address":  {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCable(t)
				c.server, c.neighbour = silent, test.router
				c.store.lease = &Lease{Prefix: netip.PrefixFrom(leasedIP, 24), Server: serverIP, Routers: []netip.Addr{serverIP},
					Obtained: time.Now().Add(-10 * time.Minute), Duration: time.Hour, RenewAfter: 30 * time.Minute, RebindAfter: 50 * time.Minute,
					RouterMAC: "02:82:00:00:00:01"}
				c.run(8 * time.Second)
				if kept := len(c.binds) == 1 && c.binds[0] != nil; kept != test.keeps {
					t.Errorf("bound %v", c.binds)
				}
				last := c.log[len(c.log)-1]
				if !test.keeps && (last.MessageType() != discover || last.addr(optRequestedAddr) != leasedIP) {
					t.Errorf("went on with %v", last.Summary())
				}
			})
		})
	}
}

func TestExpiredLeaseIsOnlyAWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.store.lease = &Lease{Prefix: netip.PrefixFrom(leasedIP, 24), Server: serverIP, Obtained: time.Now().Add(-2 * time.Hour), Duration: time.Hour}
		c.run(time.Second)
		c.expect(discover, ask)
		if c.log[0].addr(optRequestedAddr) != leasedIP {
			t.Errorf("wished for %v", c.log[0].addr(optRequestedAddr))
		}
	})
}

func TestTheWishedAddressIsPreferred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.store.lease = &Lease{Prefix: netip.PrefixFrom(leasedIP, 24), Server: serverIP, Obtained: time.Now().Add(-2 * time.Hour), Duration: time.Hour}
		second := netip.MustParseAddr("10.82.1.3")
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			switch m.MessageType() {
			case discover:
				time.AfterFunc(100*time.Millisecond, func() {
					c.answers <- Payload{Data: reply(m, offer, leasedIP, with(optServerID, second.AsSlice()...)).ToBytes()}
				})
				return []*dhcpv4.DHCPv4{reply(m, offer, netip.MustParseAddr("10.82.1.77"))}
			case ask:
				return []*dhcpv4.DHCPv4{reply(m, ack, m.addr(optRequestedAddr), with(optServerID, second.AsSlice()...))}
			}
			return nil
		}
		c.run(time.Second)
		if len(c.binds) != 1 || c.binds[0].Prefix.Addr() != leasedIP || c.binds[0].Server != second {
			t.Errorf("bound %v", c.binds)
		}
	})
}

func TestConflictIsDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		ctx, cancel := context.WithCancel(t.Context())
		go c.lan.Own(ctx, otherMAC, leasedIP)
		free := netip.MustParseAddr("10.82.1.23")
		declined := 0
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			addr := leasedIP
			if declined >= 3 {
				addr = free
			}
			switch m.MessageType() {
			case discover:
				return []*dhcpv4.DHCPv4{reply(m, offer, addr)}
			case ask:
				return []*dhcpv4.DHCPv4{reply(m, ack, addr)}
			case decline:
				declined++
			}
			return nil
		}
		c.run(20 * time.Second)
		cancel()
		synctest.Wait()
		c.expect(discover, ask, decline, discover, ask, decline, discover, ask, decline, discover, ask)
		d := c.log[2]
		if d.addr(optRequestedAddr) != leasedIP || d.addr(optServerID) != serverIP || !d.ClientIPAddr.IsUnspecified() || d.to != broadcastAddr {
			t.Errorf("declined by %v", d.Summary())
		}
		for i, least := range map[int]time.Duration{3: time.Second, 6: time.Second, 9: 10 * time.Second} {
			if gap := c.log[i].at - c.log[i-1].at; gap < least {
				t.Errorf("began anew %v after the decline; want %v", gap, least)
			}
		}
		if _, ok := c.log[3].Options[optRapidCommit]; ok {
			t.Error("rapid commit after a conflict")
		}
		if c.log[3].addr(optRequestedAddr).IsValid() {
			t.Error("wishes for the address that is taken")
		}
		if len(c.binds) != 1 || c.binds[0].Prefix.Addr() != free {
			t.Errorf("bound %v", c.binds)
		}
	})
}

func TestConflictInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		rival := c.lan.Join()
		claim := acd.Packet{Op: acd.Request, SenderMAC: otherMAC, Sender: leasedIP, Target: leasedIP}
		for _, at := range []time.Duration{20 * time.Second, 25 * time.Second} {
			time.AfterFunc(at, func() { _ = rival.Send(claim) })
		}
		c.run(30 * time.Second)
		c.expect(discover, ask, decline, discover, ask)
		if len(c.binds) != 3 || c.binds[1] != nil {
			t.Errorf("bound %v", c.binds)
		}
		if at := c.log[2].at; at != 25*time.Second {
			t.Errorf("declined after %v; the first conflict is to be defended", at)
		}
	})
}

func TestReleaseAndRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		if err := c.client.Release(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("release of a client that does not run: %v", err)
		}
		go func() {
			time.Sleep(5 * time.Second)
			if err := c.client.Renew(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Second)
			if err := c.client.Release(t.Context()); err != nil {
				t.Error(err)
			}
			if s := c.client.Status(); s.State != Released || s.Lease != nil || c.store.lease != nil {
				t.Errorf("after the release: %+v", s)
			}
			time.Sleep(time.Hour)
			if err := c.client.Renew(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		c.run(time.Hour + time.Minute)
		c.expect(discover, ask, ask, dhcpv4.MessageTypeRelease, discover, ask)
		m := c.log[3]
		if m.to != serverIP || !m.ClientIPAddr.Equal(net.IP(leasedIP.AsSlice())) || m.addr(optServerID) != serverIP {
			t.Errorf("released by %v", m.Summary())
		}
		if m = c.log[4]; m.addr(optRequestedAddr).IsValid() {
			t.Error("asks again for what it gave back")
		}
	})
}

func TestLostAckIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		lost := 0
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			if m.MessageType() == ask && lost < 1 {
				lost++
				return nil
			}
			return c.grant(m)
		}
		c.run(5 * time.Second)
		c.expect(discover, ask, ask)
	})
}

func TestJunkIsHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t)
		c.server = func(m sent) []*dhcpv4.DHCPv4 {
			for _, junk := range [][]byte{nil, {2}, bytes.Repeat([]byte{0xff}, 1400), make([]byte, 240)} {
				c.answers <- Payload{Data: junk}
			}
			return c.grant(m)
		}
		c.run(5 * time.Second)
		if len(c.binds) != 1 {
			t.Errorf("bound %v", c.binds)
		}
	})
}

func TestForeverIsFarAway(t *testing.T) {
	if after(time.Now(), Forever).Before(time.Now().Add(math.MaxInt32 * time.Second)) {
		t.Error("for ever is too soon")
	}
}
