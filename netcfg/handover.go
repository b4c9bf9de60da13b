package netcfg

import "strings"

// handOvers is what to do so that a link becomes ours; LINK stands for its name.
var handOvers = map[string]string{
	"NetworkManager": `nmcli device set LINK managed no; ip route flush dev LINK proto dhcp
and, so that it stays so after a restart, /etc/NetworkManager/conf.d/90-appliance.conf:
  [device-appliance]
  match-device=interface-name:LINK
  managed=0
`,
	"systemd-networkd": `/etc/systemd/network/10-appliance-LINK.network:
  [Match]
  Name=LINK
  [Link]
  Unmanaged=yes
then: networkctl reload; ip route flush dev LINK proto dhcp
`,
	"dhcpcd": `/etc/dhcpcd.conf, before the first "interface" line:
  denyinterfaces LINK
then: systemctl restart dhcpcd
`,
	"ifupdown": `ifdown LINK
and remove LINK from /etc/network/interfaces and /etc/network/interfaces.d/
`,
	"DHCP client": `stop the DHCP client that serves LINK (see: ss -ulpn 'sport = 68'; ps -C dhclient,udhcpc),
then, where it has left routes behind: ip route flush dev LINK proto dhcp
`,
}

const cloudInit = `if cloud-init is installed, /etc/cloud/cloud.cfg.d/99-appliance.cfg:
  network: {config: disabled}
`

// handOver is the instruction for one owner and link.
func handOver(owner, link string) string {
	text := handOvers[owner]
	if owner == "systemd-networkd" || owner == "ifupdown" {
		text += cloudInit // it writes the configuration of these two
	}
	return strings.ReplaceAll(text, "LINK", link)
}
