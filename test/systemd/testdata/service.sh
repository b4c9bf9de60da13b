. /test/lib.sh
dpkg -i /test/new.deb >/dev/null || fail install
mkdir -p /etc/systemd/system/appliance.service.d
printf '[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n' > /etc/systemd/system/appliance.service.d/test.conf
systemctl daemon-reload
systemctl restart appliance
expect "serving" within 5 serving

say rights
pid=$(property appliance MainPID)
is "user" "$(stat -c %U /proc/$pid)" appliance
is "capabilities" "$(getpcaps $pid 2>&1 | sed 's/.*: *//')" "cap_net_bind_service=eip"
is "no new privileges" "$(awk '/NoNewPrivs/ {print $2}' /proc/$pid/status)" 1
is "seccomp" "$(awk '/^Seccomp:/ {print $2}' /proc/$pid/status)" 2
pid=$(property appliance-net MainPID)
is "network's capabilities" "$(getpcaps $pid 2>&1 | sed 's/.*: *//')" "cap_net_bind_service,cap_net_admin,cap_net_raw=eip"

say exposure
score() { systemd-analyze security --no-pager "$1" | awk '/Overall exposure/ {print $(NF-2)}'; }
for pair in appliance.service:1.5 appliance-net.service:2.0 appliance-hostname.service:1.5; do
  got=$(score ${pair%:*})
  expect "exposure of ${pair%:*} is $got, at most ${pair#*:}" awk "BEGIN {exit !($got <= ${pair#*:})}"
  say "${pair%:*} $got"
done

say "host name"
touch /etc/appliance/set-hostname
expect "the unit for it" systemctl restart appliance-hostname
is "host name" "$(hostname) $(cat /etc/hostname)" "server22 server22"

say journal
entry=$(journalctl -u appliance -o json --no-pager MESSAGE="serving version=0.0.2 name=server22" | tail -1)
for field in '"PRIORITY":"6"' '"VERSION":"0.0.2"' '"NAME":"server22"' '"SYSLOG_IDENTIFIER":"appliance"' '"CODE_FILE":"' '"_SYSTEMD_UNIT":"appliance.service"'; do
  expect "field" grep -qF "$field" <<< "$entry"
done
is "complaints about the units" "$(journalctl --no-pager -b | grep -E 'appliance[a-z-]*\.(service|socket):.*(ignoring|Unknown)')" ""
expect "a status" test -n "$(property appliance StatusText)"

say crash
is "how often it may crash" "$(property appliance StartLimitIntervalUSec) $(property appliance-net StartLimitIntervalUSec)" "0 0"
for how in KILL SEGV; do
  before=$(property appliance MainPID)
  kill -$how $before
  expect "back after $how" within 5 bash -c "[ \$(systemctl show -p MainPID --value appliance) != $before ] && curl -fs -m 2 http://127.0.0.1/healthz"
done

boot=$(tr -d - < /proc/sys/kernel/random/boot_id)
expect "the black box knows a crash from a loss of power" bash -c "appliance report | grep -A99 '== black box' | grep -q 'crashed, hung or was killed'"
expect "and which boot this is" bash -c "appliance report | grep -q -- '-- boot $boot'"

say hang
before=$(property appliance MainPID)
kill -STOP $before
expect "the watchdog restarts it" within 12 bash -c "p=\$(systemctl show -p MainPID --value appliance); [ \$p != $before ] && [ \$p != 0 ] && curl -fs -m 2 http://127.0.0.1/healthz"

say "restart under load"
load() { for _ in $(seq 125); do curl -s -o /dev/null -m 10 -w '%{http_code}\n' http://127.0.0.1/healthz; done; }
jobs=()
for client in 1 2 3 4; do load > /tmp/load.$client & jobs+=($!); done
for _ in 1 2; do sleep 0.3; systemctl restart appliance; done
wait "${jobs[@]}"
is "requests answered" "$(sort /tmp/load.* | uniq -c | tr -s ' ')" " 500 200"

say "a mistake in the configuration"
echo 'nmae = "lab"' > /etc/appliance/appliance.toml
expect "refused" bash -c '! systemctl restart appliance 2>/dev/null'
is "and not tried again" "$(property appliance ActiveState) $(property appliance ExecMainStatus)" "failed 78"
: > /etc/appliance/appliance.toml
systemctl start appliance
expect "serving" within 5 serving

say stop
start=$(date +%s%N)
systemctl stop appliance.socket appliance
took=$((($(date +%s%N) - start) / 1000000))
expect "stopped in $took ms" test $took -lt 5000
is "exit" "$(property appliance Result)" success
passed
