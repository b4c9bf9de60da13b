#!/usr/bin/env bash
# Writes the card image to a card, and reads it back:
#   make flash DEV=/dev/sdX     flash.sh DEVICE [IMAGE.img.xz]
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"
device=${1:-}
image=${2:-$dist/appliance-arm64.img.xz}

refuse() { die "$1" "lsblk -o NAME,SIZE,MODEL,TRAN,MOUNTPOINTS shows the disks; a card reader is usually 'usb' or mmcblk"; }

[ -n "$device" ] || die "which card?" "make flash DEV=/dev/sdX (lsblk shows the disks)"
[ -b "$device" ] || refuse "$device is no disk"
[ "$(lsblk -dno TYPE "$device")" = disk ] || [ "$(lsblk -dno TYPE "$device")" = loop ] || refuse "$device is a partition, not a whole disk"
[ -e "$image" ] || die "no $image" "run: make image"
[ "$(id -u)" = 0 ] || die "writing to $device needs root" "run: sudo make flash DEV=$device"

# Neither anything mounted, nor swap, nor a disk below a mounted volume.
in_use=$(lsblk -nlo MOUNTPOINTS "$device" | grep -v '^$' || true)
[ -z "$in_use" ] || refuse "$device is in use: $(echo $in_use)"
system=$(lsblk -nso NAME,TYPE "$(findmnt -nvo SOURCE /)" 2>/dev/null | awk '$2 == "disk" { print $1 }' | tr -dc 'a-z0-9\n')
! grep -qx "$(basename "$device")" <<<"$system" || refuse "$device holds this system"

size=$(xz --robot --list "$image" | awk '$1 == "totals" { print $5 }')
room=$(blockdev --getsize64 "$device")
[ "$room" -ge "$size" ] || die "$device has $((room >> 20)) MiB, the image needs $((size >> 20))" "take a larger card (4 GB or more)"
if [ -e "$image.sha256" ]; then
  (cd "$(dirname "$image")" && sha256sum --quiet -c "$(basename "$image").sha256") || die "$image is damaged" "run: make image"
fi
if [ -t 0 ] && [ -z "${YES:-}" ]; then
  lsblk -o NAME,SIZE,MODEL,TRAN "$device"
  read -rp "Everything on $device will be lost. Write? [y/N] " answer
  [ "$answer" = y ] || die "nothing was written" "answer y to write"
fi

bar() { # done total what
  local width=40 filled=$((40 * $1 / $2))
  printf '\r%-10s [%s%s] %3d %%' "$3" "$(printf '%*s' $filled '' | tr ' ' '#')" "$(printf '%*s' $((width - filled)) '')" $((100 * $1 / $2)) >&2
}

# Copies standard input to $1, showing how far it is.
write() {
  dd of="$1" bs=4M iflag=fullblock oflag=direct conv=fsync status=progress 2>&1 | tr '\r' '\n' | while read -r line; do
    bytes=${line%% *}
    [[ $bytes =~ ^[0-9]+$ ]] && bar "$bytes" "$size" writing || true
  done
  bar "$size" "$size" writing
  echo >&2
}

xz -dc "$image" | write "$device"
printf 'verifying\n' >&2
blockdev --flushbufs "$device"
want=$(xz -dc "$image" | sha256sum)
got=$(head -c "$size" "$device" | sha256sum)
[ "$want" = "$got" ] || die "$device does not hold what was written" "the card or its reader is faulty; try another"
partx -u "$device" 2>/dev/null || true
echo "$device is ready: put it into the Pi. Its name is in appliance.toml on the first partition."
