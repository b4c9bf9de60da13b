#!/bin/sh
# Installs the appliance on a system with systemd and without dpkg, over an
# older one too, or removes it again: sudo ./install.sh [--uninstall]. Settings
# and data are kept, and what the administrator disabled stays disabled.
set -eu
cd "$(dirname "$0")"
units="appliance.service appliance-net.service appliance.socket appliance-hostname.service"

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

# Our keys of the kernel's, from all files as at a boot: others may win.
apply_sysctl() {
  for dir in /usr/lib/systemd /lib/systemd; do
    [ ! -x $dir/systemd-sysctl ] || $dir/systemd-sysctl --prefix=net.ipv4.conf.all.arp_ignore --prefix=net.ipv4.conf.all.arp_announce \
      --prefix=net.ipv6.conf.all.use_tempaddr --prefix=net.ipv6.conf.default.use_tempaddr --prefix=net.core.somaxconn && return
  done 2>/dev/null
}

# Where /etc/resolv.conf is a link to our file, the machine goes on asking the
# name servers that it has now.
keep_resolver() {
  [ "$(readlink /etc/resolv.conf)" = /run/appliance-net/resolv.conf ] || return 0
  if [ -e /etc/resolv.conf ]; then
    cp /etc/resolv.conf /etc/resolv.conf.appliance
    mv -f /etc/resolv.conf.appliance /etc/resolv.conf
  else
    rm -f /etc/resolv.conf
  fi
}

uninstall() {
  keep_resolver
  # shellcheck disable=SC2086
  systemctl disable --now $units || true
  for u in $units; do rm -f "/etc/systemd/system/$u"; done
  rm -f /usr/bin/appliance /etc/sysusers.d/appliance.conf /etc/tmpfiles.d/appliance.conf /etc/sysctl.d/60-appliance.conf /etc/polkit-1/rules.d/60-appliance.rules
  rm -f /run/issue.d/50-appliance.issue
  for key in arp_ignore arp_announce; do echo 0 > /proc/sys/net/ipv4/conf/all/$key || true; done 2>/dev/null
  apply_sysctl || true
  systemctl daemon-reload
  echo "Removed. Settings, data and the user are kept; to remove them too:"
  echo "  rm -r /etc/appliance /var/lib/appliance && userdel appliance"
}

install_files() {
  # Not over the running program: the new one takes its place whole.
  install -m 755 appliance /usr/bin/appliance.new
  mv -f /usr/bin/appliance.new /usr/bin/appliance
  for u in $units; do install -m 644 "systemd/$u" "/etc/systemd/system/$u"; done
  install -D -m 644 systemd/sysusers.d/appliance.conf /etc/sysusers.d/appliance.conf
  install -D -m 644 systemd/tmpfiles.d/appliance.conf /etc/tmpfiles.d/appliance.conf
  install -D -m 644 systemd/sysctl.d/60-appliance.conf /etc/sysctl.d/60-appliance.conf
  install -D -m 644 systemd/polkit/60-appliance.rules /etc/polkit-1/rules.d/60-appliance.rules
  mkdir -p /etc/appliance/appliance.d
  [ -e /etc/appliance/appliance.toml ] || /usr/bin/appliance config default > /etc/appliance/appliance.toml
}

[ "$(id -u)" = 0 ] || fail "this changes /usr and /etc" "run: sudo $0 $*"
command -v systemctl >/dev/null || fail "no systemd here" "run the binary by your own init system: ./appliance run"
if dpkg-query -W -f '${db:Status-Abbrev}' appliance 2>/dev/null | grep -q ^i; then
  fail "the package appliance is installed" "update it by apt, or remove it first: apt remove appliance"
fi
if [ "${1:-}" = --uninstall ]; then
  uninstall
  exit
fi
./appliance version >/dev/null 2>&1 || fail "this binary does not run here ($(uname -m))" "take the tarball for this machine's processor"

update=
[ ! -e /etc/systemd/system/appliance.service ] || update=yes
install_files
systemd-sysusers appliance.conf
systemd-tmpfiles --create appliance.conf || true
apply_sysctl || true
systemctl daemon-reload
if [ "$update" ]; then
  systemctl try-restart appliance-net.service appliance.service
else
  systemctl enable appliance.service
  systemctl start appliance.socket appliance-net.service appliance.service
fi
/usr/bin/appliance status || true
