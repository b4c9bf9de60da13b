package netcfg

import (
	"fmt"
	"net/netip"
)

// Reservation is how to have a DHCP server always give us the same address, in
// the words of common servers.
type Reservation struct {
	Dnsmasq string `json:"dnsmasq"`
	ISC     string `json:"isc"`
	Kea     string `json:"kea"`
	OpenWrt string `json:"openwrt"`
	// Router is for those with a page of their own, in words.
	Router string `json:"router"`
}

// Reserve makes the lines for a name, a hardware address and an address. If the
// address is not known its place is taken by "ADDRESS".
func Reserve(name string, mac MAC, addr netip.Addr) Reservation {
	if name == "" {
		name = "appliance"
	}
	ip := "ADDRESS"
	if addr.IsValid() {
		ip = addr.String()
	}
	return Reservation{
		Dnsmasq: fmt.Sprintf("dhcp-host=%v,%s,%s", mac, name, ip),
		ISC:     fmt.Sprintf("host %s { hardware ethernet %v; fixed-address %s; }", name, mac, ip),
		Kea:     fmt.Sprintf(`{"hw-address": "%v", "ip-address": "%s", "hostname": "%s"}`, mac, ip, name),
		OpenWrt: fmt.Sprintf("uci add dhcp host; uci set dhcp.@host[-1].name='%s'; uci set dhcp.@host[-1].mac='%v'; "+
			"uci set dhcp.@host[-1].ip='%s'; uci set dhcp.@host[-1].dns='1'; uci commit dhcp; /etc/init.d/dnsmasq restart", name, mac, ip),
		Router: fmt.Sprintf("FRITZ!Box: Home Network > Network > %s > Edit > \"Always assign this network device the same IPv4 address\". "+
			"UniFi: Clients > %s (%v) > Settings > Fixed IP Address %s.", name, name, mac, ip),
	}
}
