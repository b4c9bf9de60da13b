#!/usr/bin/env bash
# A Debian trixie with systemd, for booting in systemd-nspawn; prints where it
# is. Made once and cached (25 s); a change of this file makes it anew.
set -euo pipefail

# The mirrors that this machine itself uses.
sources() {
  { grep -hs '^URIs:' /etc/apt/sources.list.d/*.sources || true; } | awk '{print $2}'
  { grep -hs '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list || true; } | sed 's/\[[^]]*\]//' | awk '{print $2}'
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/appliance-tests
stamp=$(sha256sum "$0" | cut -c1-12)
root=$cache/trixie-$stamp
if [ ! -e "$root/.complete" ]; then
  mirror=$(sources | grep -v security | head -1)
  mkdir -p "$cache"
  rm -rf "$cache"/trixie-*
  mmdebstrap --quiet --mode=root --variant=minbase --skip=output/mknod \
    --include=systemd,systemd-sysv,dbus,libnss-resolve,systemd-resolved,iproute2,curl,procps,dnsmasq-base,libcap2-bin,network-manager,polkitd \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "4"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    trixie "$root" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >&2
  # It would take every machine's interface.
  ln -s /dev/null "$root/etc/systemd/system/NetworkManager.service"
  # The test's script is the machine's only task; its exit code is the machine's.
  cat > "$root/etc/systemd/system/script.service" <<'UNIT'
[Unit]
Description=The test's script
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /test/script.sh
StandardOutput=file:/test/output
StandardError=inherit
ExecStopPost=/bin/sh -c 'systemctl --no-block exit $EXIT_STATUS'
TimeoutStartSec=110
UNIT
  mkdir -p "$root/etc/systemd/system/graphical.target.wants"
  ln -s ../script.service "$root/etc/systemd/system/graphical.target.wants/"
  touch "$root/.complete"
fi
echo "$root"
