. /test/lib.sh
units="appliance.service appliance.socket appliance-net.service appliance-hostname.service"

say install
expect "install" dpkg -i /test/old.deb
for u in $units; do is "$u" "$(systemctl is-enabled $u)" enabled; done
for u in appliance.service appliance.socket appliance-net.service; do expect "$u active" within 5 systemctl is-active $u; done
expect "port 80" within 5 serving
expect "port 8080" serving :8080
is "version" "$(appliance version | cut -d' ' -f2)" 0.0.1
expect "status" appliance status
is "state folder" "$(stat -c '%U %a' /var/lib/appliance)" "appliance 700"

say upgrade
echo '# mine' >> /etc/appliance/appliance.toml
systemctl disable -q appliance-net.service
before=$(property appliance MainPID)
expect "upgrade" dpkg -i /test/new.deb
expect "serving again" within 5 serving
is "version" "$(appliance version | cut -d' ' -f2)" 0.0.2
expect "the daemon is the new one" test "$(property appliance MainPID)" != "$before"
is "a disabled unit" "$(systemctl is-enabled appliance-net.service)" disabled
expect "an edited file" grep -q '# mine' /etc/appliance/appliance.toml

say remove
expect "remove" dpkg -r appliance
expect "configuration is kept" test -e /etc/appliance/appliance.toml
expect "state is kept" test -d /var/lib/appliance
expect "nothing serves" bash -c '! curl -s -m 1 http://127.0.0.1/healthz'

say purge
expect "purge" dpkg -P appliance
left=$(find / -xdev -name '*appliance*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/test/*' -not -path '/var/log/*' -not -path '/var/lib/dpkg/*' -not -path '/run/*' 2>/dev/null)
is "what is left" "$left" ""
passed
