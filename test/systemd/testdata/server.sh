. /test/lib.sh
# The appliance on a LAN: two units, an address by DHCP, a name that others use.
dpkg -i /test/new.deb >/dev/null || fail install
printf '[net]\nmode = "dhcp"\n' > /etc/appliance/appliance.toml
address() { ip -4 -o addr show dev eth0 scope global | awk '{print $4}'; }
leased() { [[ $(address) == 10.86.0.* ]]; }

say lease
began=$(date +%s%N)
systemctl restart appliance-net appliance
expect "an address" within 15 leased
say "$(address) after $((($(date +%s%N) - began) / 1000000)) ms"
expect "ready" within 15 serving
expect "told by DHCP" within 5 bash -c "curl -fsS http://127.0.0.1/api/v1/status | grep -q '\"source\": \"dhcp\"'"
expect "the network's report" bash -c "appliance net show | grep -q 'dhcp'"
expect "its unit did it" bash -c "ip -d addr show dev eth0 | grep -q 'proto 161\|proto 0xa1' || ip -4 route show dev eth0 | grep -q 'proto 161'"
mine=$(address)

say "the lease outlives the other unit"
ip monitor address dev eth0 > /tmp/changes & monitor=$!
systemctl restart appliance
expect "serving" within 5 serving
kill -KILL "$(property appliance MainPID)"
expect "serving again" within 10 serving
systemctl stop appliance.socket appliance
sleep 1
systemctl start appliance.socket appliance
expect "serving once more" within 5 serving
kill $monitor
is "changes of the address" "$(grep -c Deleted /tmp/changes)" 0
is "the address" "$(address)" "$mine"

say "the network's unit comes back to the same address"
another() { local pid; pid=$(property appliance-net MainPID); [ "$pid" != 0 ] && [ "$pid" != "$before" ] && systemctl is-active appliance-net && appliance net show; }
for how in "systemctl restart" "systemctl kill -s KILL"; do
  before=$(property appliance-net MainPID)
  $how appliance-net
  expect "running after: $how" within 15 another
  expect "leased after: $how" within 15 leased
  is "the address after: $how" "$(address)" "$mine"
done
expect "the other unit was left alone" serving

say "waiting for the desktop"
expect "the desktop's word" within 85 bash -c "curl -fsS http://127.0.0.1/api/v1/topics/desktop | grep -q found"
passed
