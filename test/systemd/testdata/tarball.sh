. /test/lib.sh
# A system without dpkg, whose resolver file is whoever's.
for tool in dpkg dpkg-query apt-get deb-systemd-helper deb-systemd-invoke; do rm "$(command -v $tool)"; done
rm -f /etc/resolv.conf
mkdir /tmp/unpacked
tar -xzf /test/appliance.tar.gz -C /tmp/unpacked
installer=$(echo /tmp/unpacked/*/install.sh)

say install
expect "install" "$installer"
expect "port 80" within 5 serving
is "enabled" "$(systemctl is-enabled appliance.service appliance.socket appliance-net.service | uniq)" enabled
is "state folder" "$(stat -c '%U %a' /var/lib/appliance)" "appliance 700"
is "the kernel's answers to ARP" "$(sysctl -n net.ipv4.conf.all.arp_ignore)" 1

say update
echo '# mine' >> /etc/appliance/appliance.toml
systemctl disable -q --now appliance-net.service
before=$(property appliance MainPID)
expect "update" "$installer"
expect "serving" within 5 serving
expect "the daemon is the new one" test "$(property appliance MainPID)" != "$before"
is "a disabled unit" "$(systemctl is-enabled appliance-net.service)" disabled
expect "an edited file" grep -q '# mine' /etc/appliance/appliance.toml

say uninstall
expect "uninstall" "$installer" --uninstall
expect "nothing serves" bash -c '! curl -s -m 1 http://127.0.0.1/healthz'
is "the resolver file" "$(readlink /etc/resolv.conf)" ""
is "the kernel's answers to ARP" "$(sysctl -n net.ipv4.conf.all.arp_ignore)" 0
left=$(find / -xdev -name '*appliance*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/test/*' -not -path '/tmp/*' -not -path '/var/lib/appliance/*' 2>/dev/null | sort | xargs)
is "what is left" "$left" "/etc/appliance /etc/appliance/appliance.d /etc/appliance/appliance.toml /var/lib/appliance"
passed
