#!/usr/bin/env bash
# The flashable card image, made without mounting anything:
# dist/appliance-arm64.img.xz and its SHA-256. Needs root (file owners), the
# packages named in rootfs.sh, mtools, dosfstools, fdisk, e2fsprogs, xz-utils,
# kmod, cpio, zstd.
# XZ_LEVEL=-1 packs it quickly, for a try.
#
#   4 MiB   appliance.toml, firmware, kernel, initrd   FAT32, editable on any PC
#           root                                       ext4, read-only for ever
#           (made at first boot: data, the rest of the card)
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"
for c in mcopy mkfs.vfat mke2fs sfdisk xz modprobe cpio zstd; do
  command -v "$c" >/dev/null || die "no $c here" "apt-get install mtools dosfstools e2fsprogs fdisk xz-utils kmod cpio zstd"
done
build/arm/rootfs.sh

# Always the same, so that a card that is written anew finds the data
# partition behind them as it was.
boot_mb=256
root_mb=640
cache=$(realpath -m "$dist")/cache
image=$(realpath -m "$dist")/appliance-arm64.img
deb=$(echo "$dist"/appliance_"$VERSION"_arm64.deb)
[ -e "$deb" ] || die "no $deb" "run: make image, which builds it"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root boot=$work/boot
modules=$(find "$cache/extra" -maxdepth 4 -type d -path '*lib/modules/*' | head -1)
kernel=$(basename "$modules")

unpack() {
  mkdir "$root" "$boot"
  tar -xf "$cache/root-arm64.tar" -C "$root"
  # Kernel modules and firmware, then our own package, all without hooks: the
  # image boots with what enable_units sets up.
  cp -a "$cache/extra/." "$work/extra"
  rm -rf "$work/extra/boot"
  (cd "$work/extra" && tar -cf - .) | tar -xf - --keep-directory-symlink -C "$root"
  dpkg-deb --fsys-tarfile "$deb" | tar -xf - --keep-directory-symlink -C "$root"
  (cd build/arm/card && tar --owner=0 --group=0 -cf - .) | tar -xf - --keep-directory-symlink -C "$root"
}

settle() { # what packages would have done on installation
  systemd-sysusers --root="$root" >/dev/null
  local unit
  for unit in appliance-card.service appliance-update.path appliance.service appliance.socket appliance-net.service appliance-hostname.service; do
    systemctl --root="$root" enable -q "$unit"
  done
  systemctl --root="$root" mask -q apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-networkd.service systemd-resolved.service
  # SSH and Wi-Fi start where [setup] asked for them: their units have conditions.
  systemctl --root="$root" disable -q ssh.socket wpa_supplicant.service 2>/dev/null || true
  systemctl --root="$root" enable -q ssh.service
  rm -f "$root"/etc/ssh/ssh_host_* # each device makes its own
  echo localhost > "$root/etc/hostname"
  : > "$root/etc/machine-id"
  : > "$root/etc/appliance/set-hostname"
  ln -sfn /run/appliance-card/appliance.toml "$root/etc/appliance/appliance.toml"
  ln -sfn /run/appliance-net/resolv.conf "$root/etc/resolv.conf"
  sed -i 's/^root:[^:]*:/root:!:/' "$root/etc/shadow"
  mkdir -p "$root/boot/firmware" "$root/data" "$root/var/lib/appliance"
  find "$root/boot" -maxdepth 1 -type f -delete
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*
  rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* # a read-only root installs nothing
}

fill_boot() {
  cp "$cache/extra/boot/vmlinuz-$kernel" "$boot/vmlinuz"
  build/arm/initrd.sh "$cache" "$boot/initrd.img"
  cp -r "$cache"/extra/usr/lib/raspi-firmware/. "$boot/"
  mkdir -p "$boot/overlays"
  local dtbs
  dtbs=$(find "$cache/extra" -type d -path "*linux-image-$kernel/broadcom" | head -1)
  cp "$dtbs"/bcm2710*.dtb "$dtbs"/bcm2711*.dtb "$dtbs"/bcm2837*.dtb "$boot/" 2>/dev/null || true
  cp build/arm/card-boot/* "$boot/"
}

file_systems() {
  truncate -s "${boot_mb}M" "$work/boot.fat"
  mkfs.vfat -F 32 -n APPL-BOOT -i 41504c31 --invariant "$work/boot.fat" >/dev/null
  find "$boot" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  (cd "$boot" && mcopy -m -s -Q -i "$work/boot.fat" ./* ::)
  [ "$(du -sm --apparent-size "$root" | cut -f1)" -lt $((root_mb * 9 / 10)) ] || die "the root file system has outgrown its partition" "raise root_mb; cards that are written anew then begin anew"
  find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -F -t ext4 -L appl-root -U 4150504c-0000-4000-8000-000000000001 \
    -E hash_seed=4150504c-0000-4000-8000-000000000002,lazy_itable_init=0 -O '^has_journal,^metadata_csum_seed' -m 0 \
    -d "$root" "$work/root.ext4" "${root_mb}M"
}

assemble() {
  rm -f "$image" "$image.xz"
  truncate -s "$((4 + boot_mb + root_mb))M" "$image"
  # MBR: the firmware of the Pi 3 and Zero 2 W cannot read GPT.
  printf 'label: dos\nlabel-id: 0x4150504c\nstart=4MiB, size=%dMiB, type=c, bootable\nstart=%dMiB, size=%dMiB, type=83\n' \
    "$boot_mb" "$((4 + boot_mb))" "$root_mb" | sfdisk -q "$image"
  dd if="$work/boot.fat" of="$image" bs=1M seek=4 conv=notrunc,sparse status=none
  dd if="$work/root.ext4" of="$image" bs=1M seek=$((4 + boot_mb)) conv=notrunc,sparse status=none
  xz -T0 "${XZ_LEVEL:--6}" -k "$image"
  (cd "$dist" && sha256sum appliance-arm64.img.xz > appliance-arm64.img.xz.sha256)
}

unpack
settle
fill_boot
file_systems
assemble
ls -l "$image" "$image.xz"
