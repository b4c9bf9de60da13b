. /test/lib.sh
units="appliance.service appliance.socket appliance-net.service appliance-hostname.service"
arp() { sysctl -n net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce | xargs; }

say install
before=$(arp)
rm -f /etc/resolv.conf
expect "install" dpkg -i /test/old.deb
for u in $units; do is "$u" "$(systemctl is-enabled $u)" enabled; done
for u in appliance.service appliance.socket appliance-net.service; do expect "$u active" within 5 systemctl is-active $u; done
expect "port 80" within 5 serving
expect "port 8080" serving :8080
is "version" "$(appliance version | cut -d' ' -f2)" 0.0.1
expect "status" appliance status
is "state folder" "$(stat -c '%U %a' /var/lib/appliance)" "appliance 700"
is "the kernel's answers to ARP" "$(arp)" "1 2"
is "the resolver file" "$(readlink /etc/resolv.conf)" /run/appliance-net/resolv.conf

say upgrade
echo '# mine' >> /etc/appliance/appliance.toml
echo 'net.ipv4.conf.all.arp_ignore = 3' > /etc/sysctl.d/mine.conf
systemctl disable -q appliance-net.service
systemctl mask -q appliance-hostname.service
before_pid=$(property appliance MainPID)
expect "upgrade" dpkg -i /test/new.deb
expect "serving again" within 5 serving
is "version" "$(appliance version | cut -d' ' -f2)" 0.0.2
expect "the daemon is the new one" test "$(property appliance MainPID)" != "$before_pid"
is "a disabled unit" "$(systemctl is-enabled appliance-net.service)" disabled
is "a masked unit" "$(systemctl is-enabled appliance-hostname.service)" masked
expect "an edited file" grep -q '# mine' /etc/appliance/appliance.toml
is "the administrator's sysctl" "$(arp)" "3 2"
rm /etc/sysctl.d/mine.conf
systemctl unmask -q appliance-hostname.service

say remove
echo 'nameserver 10.86.0.1' > /run/appliance-net/resolv.conf
expect "remove" dpkg -r appliance
expect "configuration is kept" test -e /etc/appliance/appliance.toml
expect "state is kept" test -d /var/lib/appliance
expect "nothing serves" bash -c '! curl -s -m 1 http://127.0.0.1/healthz'
is "the name servers" "$(cat /etc/resolv.conf)" "nameserver 10.86.0.1"
is "what points nowhere" "$(find /etc /run -xtype l -lname '*appliance*' -not -path '*/systemd/system/*')" ""

say purge
expect "purge" dpkg -P appliance
left=$(find / -xdev -name '*appliance*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/test/*' -not -path '/var/log/*' -not -path '/var/lib/dpkg/*' 2>/dev/null)
is "what is left" "$left" ""
is "users and groups left" "$(getent passwd appliance; getent group appliance)" ""
is "the kernel's answers to ARP" "$(arp)" "$before"

say "install once more"
expect "install" dpkg -i /test/new.deb
expect "serving" within 5 serving
passed
