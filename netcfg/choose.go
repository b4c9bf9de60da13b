package netcfg

import (
	"net"
	"slices"
	"strings"
)

// chooseLink finds the link that the settings mean. With Auto it stays with the
// present one (an index, 0 for none) until another has carrier and it has not,
// or until a cable takes over from a wireless network.
func chooseLink(wanted string, snapshot *Snapshot, present int) (Link, bool) {
	if wanted == "" || wanted == Auto {
		return chooseAutomatically(snapshot, present)
	}
	if link, ok := snapshot.Link(wanted); ok {
		return link, true
	}
	hw, err := net.ParseMAC(wanted)
	if err != nil {
		return Link{}, false
	}
	mac := macOf(hw)
	for _, link := range snapshot.Links {
		if mac != (MAC{}) && (link.MAC == mac || link.PermanentMAC == mac) {
			return link, true
		}
	}
	return Link{}, false
}

func chooseAutomatically(snapshot *Snapshot, present int) (Link, bool) {
	var candidates []Link
	for _, link := range snapshot.Links {
		if isPhysical(link) {
			candidates = append(candidates, link)
		}
	}
	for _, good := range []func(Link) bool{
		func(l Link) bool { return !l.Wireless && l.Index == present && l.Carrier },
		func(l Link) bool { return !l.Wireless && l.Up && l.Carrier },
		func(l Link) bool { return l.Up && l.Carrier }, // a wireless network that was joined
		func(l Link) bool { return !l.Wireless && l.Index == present },
		func(l Link) bool { return !l.Wireless && l.Up },
		func(l Link) bool { return !l.Wireless },
		func(Link) bool { return true },
	} {
		if at := slices.IndexFunc(candidates, good); at >= 0 {
			return candidates[at], true
		}
	}
	return Link{}, false
}

// virtualNames begin the names of interfaces that containers, virtual machines
// and tunnels make. By kind they cannot be told: in a container the one way out
// is a veth too.
var virtualNames = []string{
	"docker", "podman", "veth", "br-", "virbr", "vnet", "lxc", "lxd", "cni", "flannel", "cali",
	"tap", "tun", "wg", "tailscale", "zt", "dummy", "ifb",
}

// isPhysical says whether Auto may choose the link.
func isPhysical(link Link) bool {
	virtual := slices.ContainsFunc(virtualNames, func(prefix string) bool { return strings.HasPrefix(link.Name, prefix) })
	return !link.Loopback && !link.PointToPoint && !virtual && link.Master == 0 && link.MAC != MAC{}
}
