#!/usr/bin/env bash
# The card's root file system from Debian packages: dist/cache/root-arm64.tar,
# with kernel and firmware unpacked in dist/cache/extra/. Cached until this file
# changes. Needs root, mmdebstrap, qemu-user-static, kmod.
#
# The kernel's package is unpacked, not installed: its hooks would run
# initramfs-tools under emulation for ten minutes, for an initrd that
# initrd.sh makes natively in one second.
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"

suite=trixie
cache=$(realpath -m "$dist")/cache
stamp=$(sha256sum build/arm/rootfs.sh | cut -c1-16)
[ "$(cat "$cache/stamp" 2>/dev/null)" = "$stamp" ] && exit 0
[ "$(id -u)" = 0 ] || die "making the card's root file system needs root" "run: sudo make image"
for c in mmdebstrap qemu-aarch64-static depmod; do
  command -v "$c" >/dev/null || die "no $c here" "apt-get install mmdebstrap qemu-user-static kmod"
done

# The mirrors that this machine itself uses; $1 is how their addresses end.
mirror() {
  { { grep -hs '^URIs:' /etc/apt/sources.list.d/*.sources || true; } | awk '{print $2}'
    { grep -hs '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list || true; } | sed 's/\[[^]]*\]//' | awk '{print $2}'
  } | grep -E "/$1/?\$" | head -1
}

# The release with its security fixes: the next image has those of its day.
sources() {
  local from='deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]' components='main non-free-firmware'
  echo "$from $(mirror debian) $suite $components"
  echo "$from $(mirror debian) $suite-updates $components"
  echo "$from $(mirror debian-security) $suite-security $components"
}
[ -n "$(mirror debian)" ] && [ -n "$(mirror debian-security)" ] || die "this machine's apt knows no Debian mirror" "look at /etc/apt/sources.list.d/"

# Programs of the card's processor run through qemu; F keeps the interpreter
# open, so that it works inside the chroot.
emulate() {
  local m=/proc/sys/fs/binfmt_misc
  [ -e $m/register ] || mount -t binfmt_misc binfmt_misc $m
  ls $m | grep -q aarch64 || printf '%s' ':appliance-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F' > $m/register
}

packages=systemd,systemd-sysv,systemd-timesyncd,udev,kmod,dbus,e2fsprogs,fdisk,dosfstools,mount,iproute2,procps,openssh-server,wpasupplicant,wireless-regdb,iw,ca-certificates

mkdir -p "$cache"
rm -rf "$cache"/*
mkdir -p "$cache/debs"
emulate
mmdebstrap --mode=root --architectures=arm64 --variant=minbase --skip=output/mknod \
  --include="$packages" \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "4"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook="cd '$cache/debs' && APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get download \$(APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-cache depends linux-image-arm64 | awk '/Depends: linux-image-/{print \$2}') raspi-firmware firmware-brcm80211 busybox-static" \
  "$suite" "$cache/root-arm64.tar" - <<<"$(sources)"

# Kernel, modules and firmware join the tree without their hooks.
for d in "$cache"/debs/linux-image-*.deb "$cache"/debs/firmware-*.deb "$cache"/debs/raspi-firmware*.deb; do
  dpkg-deb -x "$d" "$cache/extra"
done
depmod -b "$cache/extra/usr" "$(ls "$cache/extra/usr/lib/modules")"
echo "$stamp" > "$cache/stamp"
