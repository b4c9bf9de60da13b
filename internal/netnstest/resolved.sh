#!/bin/sh
# Runs the systemd-resolved of the Debian in $1 in mount and process namespaces
# of its own, with the protocol $3 only, then the lines on standard input as commands,
# each with its exit code and its duration in milliseconds. It mounts in the folder $2. Start it with unshare
# --uts --mount --pid --fork --kill-child; killing that ends all of it.
set -e
dir=$2
protocol=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
mount --rbind /dev "$dir/root/dev"
mount -t proc proc "$dir/root/proc"
mount -t sysfs sysfs "$dir/root/sys"
mount -t tmpfs tmpfs "$dir/root/run"
mkdir -p "$dir/root/run/dbus" "$dir/root/run/systemd/resolve" "$dir/root/run/systemd/resolved.conf.d"
cat >"$dir/root/run/systemd/resolved.conf.d/test.conf" <<END
[Resolve]
LLMNR=$([ "$protocol" = LLMNR ] && echo yes || echo no)
MulticastDNS=$([ "$protocol" = MulticastDNS ] && echo yes || echo no)
DNSStubListener=no
END
echo client >"$dir/root/etc/hostname"
hostname client
chroot "$dir/root" chown systemd-resolve:systemd-resolve /run/systemd/resolve
chroot "$dir/root" dbus-daemon --system --nofork --nopidfile &
for _ in $(seq 100); do [ -S "$dir/root/run/dbus/system_bus_socket" ] && break; sleep 0.05; done
chroot "$dir/root" /usr/lib/systemd/systemd-resolved &
for _ in $(seq 100); do chroot "$dir/root" busctl status org.freedesktop.resolve1 >/dev/null 2>&1 && break; sleep 0.05; done
scope=$([ "$protocol" = LLMNR ] && echo LLMNR || echo mDNS)
scopes() { chroot "$dir/root" resolvectl --no-pager status eth0 2>/dev/null | grep -q "$scope/IPv4.*$scope/IPv6"; }
[ "$protocol" = LLMNR ] || chroot "$dir/root" resolvectl mdns eth0 yes
for _ in $(seq 100); do scopes && break; sleep 0.05; done
echo READY
while read -r line; do
	begin=$(date +%s%N)
	code=0
	chroot "$dir/root" timeout 20 sh -c "$line" </dev/null 2>&1 || code=$?
	echo "EXIT $code MS $((($(date +%s%N) - begin) / 1000000)) OF $line"
done
