. /test/lib.sh
# Raspberry Pi OS has NetworkManager; docs/installing.md hands eth0 over from it
# and back, and systemd-resolved asks polkit whether our daemon may tell it the
# lease's name servers.
configured_by() { appliance net show > /tmp/shown && grep -q "^mode *$1" /tmp/shown && grep -q '^address *10\.86\.0\.' /tmp/shown; }
connected() { nmcli -t -g GENERAL.STATE device show eth0 | grep '^100'; }
resolves() { resolvectl query -4 --cache=no server22.lan; }

say observe
systemctl unmask -q NetworkManager
systemctl start NetworkManager
expect "an address by NetworkManager" within 20 connected
dpkg -i /test/new.deb >/dev/null || fail install
expect "observed" within 10 configured_by "observe; NetworkManager configures it"
address=$(ip -4 -o addr show dev eth0 | awk '{print $4}')

say "hand over"
appliance net show | sed -n '/^nmcli/p' > /tmp/lines
appliance net show | sed -n '/^  \[device-appliance\]/,/managed=0/p' | cut -c3- > /etc/NetworkManager/conf.d/90-appliance.conf
expect "a line" grep -q 'nmcli device set eth0 managed no' /tmp/lines
expect "the line" sh -e /tmp/lines
resolvectl revert eth0 # of what NetworkManager told it
printf '[net]\nmode = "dhcp"\n' | tee /etc/appliance/appliance.d/net.toml
systemctl restart appliance-net
expect "ours" within 15 configured_by dhcp
is "the address" "$(ip -4 -o addr show dev eth0 | awk '{print $4}')" "$address"
expect "a lease" within 10 bash -c "appliance net show | grep -q '^DHCP *bound'"
expect "the resolver's servers" within 10 bash -c "resolvectl dns eth0 | grep -q ': 10.86.0.1'"
expect "who was asked for leave" within 5 systemctl is-active polkit
expect "a name of the LAN" within 10 resolves

say "NetworkManager leaves it alone after a restart"
systemctl restart NetworkManager
expect "unmanaged" within 10 bash -c "nmcli -t -g GENERAL.STATE device show eth0 | grep -q '^10 '"
expect "ours" within 5 configured_by dhcp

say "and back, as after a restart of the machine"
rm /etc/NetworkManager/conf.d/90-appliance.conf
rm /etc/appliance/appliance.d/net.toml
systemctl stop NetworkManager appliance-net
rm -r /run/NetworkManager/devices
ip address flush dev eth0
systemctl start NetworkManager
expect "an address by NetworkManager" within 20 connected
systemctl start appliance-net
expect "observed" within 10 configured_by "observe; NetworkManager configures it"
passed
