package netnstest

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
)

// Veth connects two namespaces by a pair of interfaces that are up.
func Veth(t testing.TB, a *NS, nameA string, b *NS, nameB string) {
	t.Helper()
	VethDown(t, a, nameA, b, nameB)
	a.Up(nameA)
	b.Up(nameB)
}

// VethDown is Veth, with both ends left down.
func VethDown(t testing.TB, a *NS, nameA string, b *NS, nameB string) {
	t.Helper()
	pair := netlink.NewVeth(netlink.NewLinkAttrs())
	pair.Name = nameA
	pair.PeerName = nameB
	pair.PeerNamespace = netlink.NsFd(b.fd)
	a.must(a.handle.LinkAdd(pair), "making the pair %s, %s", nameA, nameB)
}

// Bridge makes a bridge that is up and forwards at once, and puts the ports
// into it. More ports can be put into it with Enslave.
func (ns *NS) Bridge(name string, ports ...string) {
	ns.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	ns.must(ns.handle.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}), "making the bridge %s", name)
	// Without spanning tree a port forwards as soon as it is up; the 15 s
	// forward delay counts only with it.
	for _, port := range ports {
		ns.Enslave(name, port)
	}
	ns.Up(name)
}

// Enslave puts an interface into a bridge and sets it up.
func (ns *NS) Enslave(bridge, port string) {
	ns.t.Helper()
	ns.must(ns.handle.LinkSetMaster(ns.link(port), ns.link(bridge)), "putting %s into %s", port, bridge)
	ns.Up(port)
}

// Up sets an interface administratively up.
func (ns *NS) Up(name string) {
	ns.t.Helper()
	ns.must(ns.handle.LinkSetUp(ns.link(name)), "setting %s up", name)
}

// Down sets an interface administratively down; the other end of a veth pair
// loses its carrier.
func (ns *NS) Down(name string) {
	ns.t.Helper()
	ns.must(ns.handle.LinkSetDown(ns.link(name)), "setting %s down", name)
}

// Rename gives an interface another name. The kernel wants it down or allows it
// live since 6.2.
func (ns *NS) Rename(name, to string) {
	ns.t.Helper()
	ns.must(ns.handle.LinkSetName(ns.link(name), to), "renaming %s to %s", name, to)
}

// Take moves an interface here from another namespace, as if its cable were
// plugged in elsewhere. It is down afterwards.
func (ns *NS) Take(from *NS, name string) {
	ns.t.Helper()
	ns.must(from.handle.LinkSetNsFd(from.link(name), int(ns.fd)), "moving %s", name)
}

// Delete removes an interface, and the other end of a veth pair with it.
func (ns *NS) Delete(name string) {
	ns.t.Helper()
	ns.must(ns.handle.LinkDel(ns.link(name)), "deleting %s", name)
}

// MAC sets the hardware address of an interface.
func (ns *NS) MAC(name, address string) {
	ns.t.Helper()
	mac, err := net.ParseMAC(address)
	ns.must(err, "reading a hardware address")
	ns.must(ns.handle.LinkSetHardwareAddr(ns.link(name), mac), "setting the hardware address of %s", name)
}

// Addr adds an address such as "10.82.1.1/24" to an interface. IPv6 addresses
// are usable at once: they are added without duplicate address detection.
func (ns *NS) Addr(name, cidr string) {
	ns.t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	ns.must(err, "reading the address %s", cidr)
	if addr.IP.To4() == nil {
		addr.Flags |= ifaFlagNoDAD
	}
	ns.must(ns.handle.AddrAdd(ns.link(name), addr), "adding %s to %s", cidr, name)
}

// ifaFlagNoDAD is IFA_F_NODAD of <linux/if_addr.h>.
const ifaFlagNoDAD = 0x02

// DelAddr removes an address from an interface.
func (ns *NS) DelAddr(name, cidr string) {
	ns.t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	ns.must(err, "reading the address %s", cidr)
	ns.must(ns.handle.AddrDel(ns.link(name), addr), "removing %s from %s", cidr, name)
}

// Addrs lists the addresses of an interface of one family (netlink.FAMILY_V4,
// FAMILY_V6, FAMILY_ALL) as "10.82.1.1/24".
func (ns *NS) Addrs(name string, family int) []string {
	ns.t.Helper()
	addrs, err := ns.handle.AddrList(ns.link(name), family)
	ns.must(err, "listing the addresses of %s", name)
	var list []string
	for _, addr := range addrs {
		list = append(list, addr.IPNet.String())
	}
	return list
}
