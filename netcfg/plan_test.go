package netcfg

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"server22.local/appliance/netcfg/dhcp4"
)

func eth0(addrs ...Addr) Link {
	return Link{Index: 2, Name: "eth0", Up: true, Carrier: true, MTU: 1500, Addrs: addrs}
}

func addr(prefix string, protocol int) Addr {
	return Addr{Prefix: netip.MustParsePrefix(prefix), Protocol: protocol}
}

func kernelRoute(prefix string, protocol int, change ...func(*Route)) Route {
	r := Route{Dst: netip.MustParsePrefix(prefix), Link: 2, Protocol: protocol}
	for _, f := range change {
		f(&r)
	}
	return r
}

func via(gateway, src string, metric int) func(*Route) {
	return func(r *Route) {
		r.Gateway, r.Src, r.Metric = netip.MustParseAddr(gateway), netip.MustParseAddr(src), metric
	}
}

func leased(change ...func(*dhcp4.Lease)) Desired {
	lease := &dhcp4.Lease{
		Prefix: netip.MustParsePrefix("10.82.1.22/24"), Server: netip.MustParseAddr("10.82.1.1"),
		Routers: addresses("10.82.1.1"), Obtained: time.Now(), Duration: time.Hour,
	}
	for _, f := range change {
		f(lease)
	}
	d := Desired{Link: "eth0", Index: 2, Up: true}
	d.addLease(lease, lease.MTU)
	return d
}

func TestPlan(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	bound := Addr{Prefix: netip.MustParsePrefix("10.82.1.22/24"), Protocol: int(FromLease), Valid: hour}
	prefixRoute := kernelRoute("10.82.1.0/24", 2, func(r *Route) { r.Src = netip.MustParseAddr("10.82.1.22") })
	defaultRoute := kernelRoute("0.0.0.0/0", int(FromLease), via("10.82.1.1", "10.82.1.22", 100))
	foreign := []Route{
		kernelRoute("0.0.0.0/0", 3, via("10.82.1.9", "10.82.1.22", 0)),
		kernelRoute("10.99.0.0/16", 16, via("10.82.1.9", "10.82.1.22", 0)),
	}

	for name, test := range map[string]struct {
		desired Desired
		links   []Link
		routes  []Route
		want    string
	}{
		"a bare link gets everything": {leased(), []Link{{Index: 2, Name: "eth0", MTU: 1500}}, nil, `
			~ link eth0 up
			+ address 10.82.1.22/24 dev eth0 for 1h0m0s (lease)
			+ route default via 10.82.1.1 dev eth0 src 10.82.1.22 metric 100 (lease)`},
		"nothing to do": {leased(), []Link{eth0(bound)}, []Route{prefixRoute, defaultRoute}, ``},
		"a renewed lease": {leased(func(l *dhcp4.Lease) { l.Duration = 2 * time.Hour }), []Link{eth0(bound)},
			[]Route{prefixRoute, defaultRoute}, `
			~ address 10.82.1.22/24 dev eth0 for 2h0m0s (lease)`},
		"somebody deleted the routes": {leased(), []Link{eth0(bound)}, nil, `
			+ route 10.82.1.0/24 dev eth0 src 10.82.1.22 (lease)
			+ route default via 10.82.1.1 dev eth0 src 10.82.1.22 metric 100 (lease)`},
		"our stand-in for the kernel's route stays": {leased(), []Link{eth0(bound)},
			[]Route{kernelRoute("10.82.1.0/24", int(FromLease), func(r *Route) { r.Src = netip.MustParseAddr("10.82.1.22") }), defaultRoute}, ``},
		"what is foreign stays": {Desired{Link: "eth0", Index: 2, Up: true},
			[]Link{eth0(addr("10.99.0.1/24", 0), addr("fe80::1/64", 3))}, foreign, ``},
		"the same address by somebody else is enough": {leased(), []Link{eth0(addr("10.82.1.22/24", 0))},
			[]Route{prefixRoute, defaultRoute}, ``},
		"the lease has gone": {Desired{Link: "eth0", Index: 2, Up: true}, []Link{eth0(bound, addr("10.99.0.1/24", 0))},
			append(slices.Clone(foreign), prefixRoute, defaultRoute), `
			- route default via 10.82.1.1 dev eth0 src 10.82.1.22 metric 100 (lease)
			- address 10.82.1.22/24 dev eth0 (lease)`},
		"what we left on another link": {Desired{Link: "eth0", Index: 2, Up: true},
			[]Link{eth0(), {Index: 3, Name: "eth1", Addrs: []Addr{addr("10.82.1.30/24", int(FromSettings))}}}, nil, `
			- address 10.82.1.30/24 dev eth1 (static)`},
		"the interface is not there": {Desired{}, []Link{{Index: 3, Name: "eth1", Addrs: []Addr{addr("10.82.1.30/24", int(FromSettings))}}}, nil, `
			- address 10.82.1.30/24 dev eth1 (static)`},
		"a recorded address on an old kernel": {Desired{Link: "eth0", Index: 2, Up: true, Recorded: prefixes("10.82.1.30/24")},
			[]Link{eth0(addr("10.82.1.30/24", 0), addr("10.82.1.31/24", 0))}, nil, `
			- address 10.82.1.30/24 dev eth0 (foreign)`},
		"a link that stays down takes no routes": {
			func() Desired { d := leased(); d.Up = false; return d }(), []Link{{Index: 2, Name: "eth0", MTU: 1500, Addrs: []Addr{bound}}}, nil, ``},
		"mtu of the link": {leased(func(l *dhcp4.Lease) { l.MTU = 1400 }), []Link{eth0(bound)}, []Route{prefixRoute, defaultRoute}, `
			~ link eth0 mtu 1400 (was 1500)`},
		"an mtu that IPv6 could not live with": {leased(func(l *dhcp4.Lease) { l.MTU = 576 }), []Link{eth0(bound)}, []Route{prefixRoute, defaultRoute}, `
			- route default via 10.82.1.1 dev eth0 src 10.82.1.22 metric 100 (lease)
			+ route default via 10.82.1.1 dev eth0 src 10.82.1.22 metric 100 mtu 576 (lease)`},
		"a router beyond the network": {leased(func(l *dhcp4.Lease) { l.Prefix = netip.MustParsePrefix("10.82.1.22/32") }), []Link{eth0()}, nil, `
			+ address 10.82.1.22/32 dev eth0 for 1h0m0s (lease)
			+ route default via 10.82.1.1 dev eth0 src 10.82.1.22 metric 100 onlink (lease)`},
		"two routers": {leased(func(l *dhcp4.Lease) { l.Routers = addresses("10.82.1.1", "10.82.1.2") }), []Link{eth0(bound)}, []Route{prefixRoute, defaultRoute}, `
			+ route default via 10.82.1.2 dev eth0 src 10.82.1.22 metric 101 (lease)`},
		"a link-local address": {func() Desired {
			d := Desired{Link: "eth0", Index: 2, Up: true}
			d.addLinkLocal(netip.MustParseAddr("169.254.7.7"))
			return d
		}(), []Link{eth0()}, nil, `
			+ address 169.254.7.7/16 dev eth0 (link-local)
			+ route 169.254.0.0/16 dev eth0 src 169.254.7.7 metric 1000 (link-local)`},
	} {
		t.Run(name, func(t *testing.T) {
			changes := Plan(test.desired, &Snapshot{Links: test.links, Routes: test.routes})
			want := strings.ReplaceAll(strings.TrimLeft(test.want, "\n"), "\t", "")
			if got := strings.TrimSuffix(Diff(changes), "\n"); got != want {
				t.Errorf("planned\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// From any state one plan leads to the desired one: a second plan is empty, and
// what was foreign is as it was.
func TestPlanConverges(t *testing.T) {
	random := rand.New(rand.NewPCG(22, 8))
	addrs := prefixes("10.82.1.22/24", "10.82.1.23/24", "10.99.0.1/16", "169.254.7.7/16", "fd00::1/64")
	protocols := []int{0, 2, int(FromSettings), int(FromLease), int(FromLinkLocal)}
	for range 2000 {
		observed := &Snapshot{Links: []Link{eth0(), {Index: 3, Name: "eth1", Up: true}}}
		observed.Links[0].Up = random.IntN(2) == 0
		for i := range observed.Links {
			for _, prefix := range addrs {
				if random.IntN(2) == 0 {
					a := Addr{Prefix: prefix, Protocol: protocols[random.IntN(len(protocols))], NoPrefixRoute: random.IntN(2) == 0}
					observed.Links[i].Addrs = append(observed.Links[i].Addrs, a)
				}
			}
		}
		for _, prefix := range []string{"0.0.0.0/0", "10.82.1.0/24", "169.254.0.0/16"} {
			if random.IntN(2) == 0 {
				r := kernelRoute(prefix, protocols[random.IntN(len(protocols))], via("10.82.1.1", "10.82.1.22", 100*random.IntN(2)))
				r.Link = 2 + random.IntN(2)
				observed.Routes = append(observed.Routes, r)
			}
		}
		desired := leased()
		if random.IntN(2) == 0 {
			desired = Desired{Link: "eth0", Index: 2, Up: true}
			desired.addLinkLocal(netip.MustParseAddr("169.254.7.7"))
		}
		foreign := foreignOf(observed)
		changes := Plan(desired, observed)
		after := carryOut(observed, changes)
		if again := Plan(desired, after); len(again) > 0 {
			t.Fatalf("after\n%sthere is still to do\n%s", Diff(changes), Diff(again))
		}
		if got := foreignOf(after); !slices.Equal(got, foreign) {
			t.Fatalf("foreign state was %v and is %v after\n%s", foreign, got, Diff(changes))
		}
	}
}

func foreignOf(s *Snapshot) (list []string) {
	for _, link := range s.Links {
		for _, a := range link.Addrs {
			if !ours(a.Protocol) {
				list = append(list, link.Name+" "+a.Prefix.String())
			}
		}
	}
	for _, r := range s.Routes {
		if !ours(r.Protocol) && r.Protocol != unix.RTPROT_KERNEL { // those come with addresses
			list = append(list, r.Dst.String()+" "+r.Gateway.String())
		}
	}
	return list
}

// carryOut does to a snapshot what Apply does to the kernel.
func carryOut(s *Snapshot, changes []Change) *Snapshot {
	after := &Snapshot{Routes: slices.Clone(s.Routes)}
	for _, link := range s.Links {
		link.Addrs = slices.Clone(link.Addrs)
		after.Links = append(after.Links, link)
	}
	for _, c := range changes {
		link := &after.Links[slices.IndexFunc(after.Links, func(l Link) bool { return l.Index == c.Index })]
		switch c.Op {
		case SetUp:
			link.Up = true
			for _, a := range link.Addrs {
				after.Routes = append(after.Routes, kernelRoute(a.Prefix.Masked().String(), unix.RTPROT_KERNEL, func(r *Route) { r.Link = c.Index }))
			}
		case SetMTU:
			link.MTU = c.MTU
		case RemoveAddr, AddAddr, RefreshAddr:
			link.Addrs = slices.DeleteFunc(link.Addrs, func(a Addr) bool { return a.Prefix == c.Addr.Prefix })
			if c.Op != RemoveAddr {
				link.Addrs = append(link.Addrs, Addr{Prefix: c.Addr.Prefix, Protocol: int(c.Addr.Origin), Valid: c.Addr.Valid, NoPrefixRoute: c.Addr.NoPrefixRoute})
			}
			network := kernelRoute(c.Addr.Prefix.Masked().String(), 2, func(r *Route) { r.Src, r.Link = c.Addr.Prefix.Addr(), c.Index })
			if c.Op == AddAddr && !c.Addr.NoPrefixRoute {
				after.Routes = append(after.Routes, network)
			}
		case RemoveRoute:
			after.Routes = slices.DeleteFunc(after.Routes, func(r Route) bool { return r.Link == c.Index && ours(r.Protocol) && c.Route.is(r) })
		case AddRoute:
			after.Routes = append(after.Routes, Route{Dst: c.Route.Dst, Gateway: c.Route.Gateway, Link: c.Index, Src: c.Route.Src,
				Metric: c.Route.Metric, MTU: c.Route.MTU, Protocol: int(c.Route.Origin)})
		}
	}
	return after
}
