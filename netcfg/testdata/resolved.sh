#!/bin/sh
# Runs the systemd-resolved of the Debian in $1, and a D-Bus for it, in the mount
# namespace that it is started in; it mounts in the folder $2. The lines of
# standard input are run as commands beside it, until that ends.
set -e
dir=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
mount --rbind /dev "$dir/root/dev"
mount -t proc proc "$dir/root/proc"
mount -t sysfs sysfs "$dir/root/sys"
mount -t tmpfs tmpfs "$dir/root/run"
mkdir -p "$dir/root/run/dbus" "$dir/root/run/systemd/resolve"
chroot "$dir/root" chown systemd-resolve:systemd-resolve /run/systemd/resolve
chroot "$dir/root" dbus-daemon --system --nofork --nopidfile &
bus=$!
for _ in $(seq 200); do [ -S "$dir/root/run/dbus/system_bus_socket" ] && break; sleep 0.05; done
chroot "$dir/root" /usr/lib/systemd/systemd-resolved &
resolved=$!
trap 'kill $bus $resolved; wait' EXIT
for _ in $(seq 200); do chroot "$dir/root" busctl status org.freedesktop.resolve1 >/dev/null 2>&1 && break; sleep 0.05; done
echo READY
while read -r line; do
	chroot "$dir/root" sh -c "$line" </dev/null || true
done
