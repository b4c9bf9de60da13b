#!/usr/bin/env bash
# A minimal initrd, made natively: busybox and the modules with which a Pi or
# QEMU's virt machine reaches an ext4 root. initrd.sh CACHE FILE reads the
# unpacked kernel in CACHE/extra and writes the initrd to FILE.
set -euo pipefail
cache=$1 result=$2
extra=$cache/extra
modules=$extra/usr/lib/modules
[ -d "$modules" ] || modules=$extra/lib/modules
version=$(ls "$modules")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# Storage of the Pi 3, 4 and Zero 2 W, of QEMU, and USB (of which sd_mod is no
# dependency); what a module depends on comes along.
wanted=(ext4 vfat nls_cp437 nls_ascii mmc_block sdhci-iproc bcm2835 bcm2835-mmc sdhci-brcmstb bcm2835-dma
  virtio_blk virtio_scsi virtio_pci virtio_mmio usb-storage uas sd_mod phy-generic dwc2 xhci-pci reset-raspberrypi
  raspberrypi-hwmon clk-raspberrypi gpio-raspberrypi-exp regulator-fixed gpio-regulator pcie-brcmstb)

mkdir -p "$tree"/{bin,dev,proc,sys,run,root,modules}
dpkg-deb -x "$cache"/debs/busybox-static_*.deb "$cache/busybox"
install -m 755 "$cache"/busybox/usr/bin/busybox "$tree/bin/busybox"

i=100
for m in "${wanted[@]}"; do
  modprobe -d "$(dirname "$(dirname "$modules")")" -S "$version" --show-depends "$m" 2>/dev/null | awk '$1 == "insmod" { print $2 }' || true
done | awk '!seen[$0]++' | while read -r file; do
  # The number keeps the order in which they load.
  out=$tree/modules/$((i++))-$(basename "${file%.xz}")
  case $file in *.xz) xz -dc "$file" ;; *.zst) zstd -dqc "$file" ;; *) cat "$file" ;; esac > "$out"
done

cat > "$tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755 run /run
for m in /modules/*; do insmod "$m" 2>/dev/null; done
root=LABEL=appl-root
for a in $(cat /proc/cmdline); do
  case $a in root=LABEL=* | root=UUID=* | root=/dev/*) root=${a#root=} ;; esac
done
tries=0
until device=$(findfs "$root" 2>/dev/null) && [ -b "$device" ]; do
  tries=$((tries + 1))
  if [ $tries -gt 600 ]; then
    echo "no file system $root on this card; write the image again"
    sleep 20
    reboot -f
  fi
  usleep 100000
done
mount -t ext4 -o ro,noatime "$device" /root || { echo "cannot mount $device"; sleep 20; reboot -f; }
for d in dev proc sys run; do mount --move /$d /root/$d; done
exec switch_root /root /sbin/init
INIT
chmod 755 "$tree/init"
find "$tree" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-1790000000}" {} +
(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc --reproducible --quiet -R 0:0) | zstd -q -19 > "$result"
