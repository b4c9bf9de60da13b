. /test/lib.sh
# Another machine of the LAN, whose resolver is systemd's.
mkdir -p /etc/systemd/resolved.conf.d
printf '[Resolve]\nMulticastDNS=yes\nLLMNR=yes\nDNS=10.86.0.1\nDomains=lan\n' > /etc/systemd/resolved.conf.d/test.conf
systemctl restart systemd-resolved
expect "mDNS" resolvectl mdns eth0 yes
expect "LLMNR" resolvectl llmnr eth0 yes

say "looking for server22.local"
expect "the name in .local" within 70 resolvectl query -4 --cache=no server22.local
say "$(resolvectl query -4 server22.local | head -1)"
expect "through the C library" bash -c "getent hosts server22.local | grep -qE '10\.86|fe80'"
expect "the bare name, by LLMNR" within 10 resolvectl query -4 --protocol=llmnr server22
expect "the name that DHCP has registered" within 10 resolvectl query -4 server22.lan
expect "a service" within 10 bash -c "resolvectl service --protocol=mdns _http._tcp local 2>/dev/null | grep -q . || resolvectl query --protocol=mdns -t PTR _http._tcp.local | grep -q server22"
expect "its page" within 10 bash -c "curl -fsS -m 3 http://server22.local/ | grep -qi '<html'"
expect "its bus" within 10 curl -fsS -m 3 -d found http://server22.local/api/v1/topics/desktop
passed
