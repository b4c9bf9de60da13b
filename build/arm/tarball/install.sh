#!/bin/sh
# Installs the appliance on a system with systemd and without dpkg, over an
# older one too, or removes it again: sudo ./install.sh [--uninstall]. Settings
# and data are kept.
set -eu
cd "$(dirname "$0")"
units="appliance.service appliance-net.service appliance.socket appliance-hostname.service"

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "this changes /usr and /etc" "run: sudo $0 $*"
command -v systemctl >/dev/null || fail "no systemd here" "run the binary by your own init system: ./appliance run"

if [ "${1:-}" = --uninstall ]; then
  # shellcheck disable=SC2086
  systemctl disable --now $units || true
  for u in $units; do rm -f "/etc/systemd/system/$u"; done
  rm -f /usr/bin/appliance /etc/sysusers.d/appliance.conf /etc/tmpfiles.d/appliance.conf /etc/sysctl.d/60-appliance.conf /etc/polkit-1/rules.d/60-appliance.rules
  # What tmpfiles.d made points at files that are gone.
  rm -f /run/issue.d/50-appliance.issue
  [ "$(readlink /etc/resolv.conf)" != /run/appliance-net/resolv.conf ] || rm -f /etc/resolv.conf
  systemctl daemon-reload
  echo "Removed. /etc/appliance and /var/lib/appliance are kept."
  exit 0
fi
./appliance version >/dev/null 2>&1 || fail "this binary does not run here ($(uname -m))" "take the tarball for this machine's processor"

install -m 755 appliance /usr/bin/appliance
for u in $units; do install -m 644 "systemd/$u" "/etc/systemd/system/$u"; done
install -D -m 644 systemd/sysusers.d/appliance.conf /etc/sysusers.d/appliance.conf
install -D -m 644 systemd/tmpfiles.d/appliance.conf /etc/tmpfiles.d/appliance.conf
install -D -m 644 systemd/sysctl.d/60-appliance.conf /etc/sysctl.d/60-appliance.conf
install -D -m 644 systemd/polkit/60-appliance.rules /etc/polkit-1/rules.d/60-appliance.rules
mkdir -p /etc/appliance
[ -e /etc/appliance/appliance.toml ] || /usr/bin/appliance config default > /etc/appliance/appliance.toml
systemd-sysusers appliance.conf
systemd-tmpfiles --create appliance.conf || true
systemctl daemon-reload
systemctl enable appliance.service
# Starts them, or has those that run become the new version.
systemctl restart appliance-net.service appliance.service
/usr/bin/appliance status || true
