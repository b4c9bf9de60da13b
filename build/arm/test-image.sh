#!/usr/bin/env bash
# Boots the card image in QEMU (machine virt), reaches it from outside over HTTP
# and Socket.IO, cuts its power in the first boot and in the middle of messages,
# and looks that nothing acknowledged is lost. Needs qemu-system-arm, curl, node
# with test/node's packages. PORT (18080) of loopback leads to the machine.
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"
for c in qemu-system-aarch64 curl node; do
  command -v "$c" >/dev/null || die "no $c here" "apt-get install qemu-system-arm curl nodejs"
done
image=$(realpath -m "$dist")/appliance-arm64.img
cache=$(realpath -m "$dist")/cache
[ -e "$image" ] || die "no $image" "run: sudo make image"
port=${PORT:-18080}
work=$(mktemp -d)
machine=
trap '[ -z "$machine" ] || kill -9 "$machine" 2>/dev/null; rm -rf "$work"' EXIT

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*"; tail -n 40 "$work/console" | cut -c1-150; exit 1; }

cp --sparse=always "$image" "$work/card"
truncate -s 3G "$work/card" # a larger card: the first boot must use all of it

power_on() {
  : > "$work/console"
  qemu-system-aarch64 -M virt,gic-version=2 -cpu cortex-a53 -accel tcg,thread=multi -smp 2 -m 512 -nographic -no-reboot \
    -kernel "$cache"/extra/boot/vmlinuz-* -initrd "$cache/boot/initrd.img" \
    -append "root=LABEL=appl-root ro rootwait net.ifnames=0 console=ttyAMA0 loglevel=4" \
    -drive "file=$work/card,if=virtio,format=raw,cache=writethrough" \
    -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:80" -device virtio-net-pci,netdev=n,romfile= \
    </dev/null >"$work/console" 2>&1 &
  machine=$!
}

power_off() {
  kill -9 "$machine"
  wait "$machine" 2>/dev/null || true
  machine=
}

# Waits up to $1 seconds for a command to succeed.
within() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    kill -0 "$machine" 2>/dev/null || return 1
    sleep 0.5
  done
}

serves() { curl -fsS -m 4 "http://127.0.0.1:$port$1"; }
history() { serves "/api/v1/rooms/lobby/messages?since=0&limit=1000"; }

say "first boot, cut short while the data partition is made"
power_on
within 300 grep -aq 'data partition' "$work/console" || fail "it never made a data partition"
sleep 1
power_off

say "first boot again"
power_on
within 400 serves /healthz || fail "it does not serve"
say "serving"
within 60 serves /readyz || fail "it is not ready"
serves /api/v1/status | grep -q '"source": "dhcp"' || fail "no address by DHCP"
within 60 grep -aq 'http://server22.local/' "$work/console" || fail "the console does not say where it is open"

say "1,000 messages by socket.io-client, and the power goes in their middle"
NODE_PATH=test/node/node_modules node test/e2e/testdata/say.js "http://127.0.0.1:$port/" lobby 1000 > "$work/said" &
client=$!
until [ "$(grep -c '^ack' "$work/said" || true)" -ge 300 ]; do
  kill -0 $client 2>/dev/null || fail "the client ended: $(tail -1 "$work/said")"
  sleep 0.1
done
power_off
wait $client || true
acked=$(grep -c '^ack' "$work/said")

say "boot after the cut"
power_on
within 400 serves /healthz || fail "it does not serve after the power cut"
lost=0
history | grep -o '"id":"[^"]*"' | cut -d'"' -f4 | sort > "$work/kept"
while read -r _ id _; do
  grep -qx "$id" "$work/kept" || lost=$((lost + 1))
done < <(grep '^ack' "$work/said")
[ "$lost" = 0 ] || fail "$lost of $acked acknowledged messages are lost"
say "all $acked acknowledged messages are there ($(wc -l < "$work/kept") kept)"
power_off
say PASSED
