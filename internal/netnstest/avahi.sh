#!/bin/sh
# Runs an Avahi of its own, called $1 and ending up as $2, in a mount namespace of its own (start
# this with unshare --mount), then the lines on standard input as commands,
# each with its exit code and its duration in milliseconds.
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/avahi-daemon
cat >/run/nsswitch.conf <<END
hosts: files mdns
END
mount --bind /run/nsswitch.conf /etc/nsswitch.conf
cat >/run/avahi.conf <<END
[server]
host-name=$1
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
[publish]
publish-hinfo=no
publish-workstation=no
END
mkdir -p /run/services
dbus-daemon --system --nofork --nopidfile &
for _ in $(seq 100); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.05; done
avahi-daemon --no-drop-root --no-chroot -f /run/avahi.conf &
for _ in $(seq 200); do [ -S /run/avahi-daemon/socket ] && avahi-resolve -n "$2.local" >/dev/null 2>&1 && break; sleep 0.1; done
echo "READY"
while read -r line; do
	begin=$(date +%s%N)
	code=0
	sh -c "$line" </dev/null || code=$?
	echo "EXIT $code MS $((($(date +%s%N) - begin) / 1000000)) OF $line"
done
kill %2 2>/dev/null || true
wait %2 2>/dev/null || true
kill %1 2>/dev/null || true
