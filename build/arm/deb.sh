#!/usr/bin/env bash
# Debian packages from the binaries of cross.sh, by dpkg-deb alone, byte for
# byte the same each time. Result: dist/appliance_VERSION_ARCH.deb.
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"
umask 022
maintainer="The appliance authors <appliance@example.org>"

# armhf is built for ARMv6, so that one package serves every 32-bit Pi.
debs=${DEBS:-armhf:armv6 arm64:arm64 amd64:amd64}

files() { # tree target
  install -D -m 755 "$dist/bin/$2/appliance" "$1/usr/bin/appliance"
  install -D -m 644 -t "$1/usr/lib/systemd/system" systemd/*.service systemd/*.socket
  install -D -m 644 -t "$1/usr/lib/sysusers.d" systemd/sysusers.d/appliance.conf
  install -D -m 644 -t "$1/usr/lib/tmpfiles.d" systemd/tmpfiles.d/appliance.conf
  install -D -m 644 -t "$1/usr/share/polkit-1/rules.d" systemd/polkit/60-appliance.rules
  install -D -m 644 -t "$1/usr/lib/sysctl.d" systemd/sysctl.d/60-appliance.conf
  install -D -m 644 build/arm/deb/appliance.toml "$1/etc/appliance/appliance.toml"
  install -d "$1/etc/appliance/appliance.d"
  install -D -m 644 build/arm/deb/copyright "$1/usr/share/doc/appliance/copyright"
  install -D -m 644 build/arm/deb/lintian-overrides "$1/usr/share/lintian/overrides/appliance"
  gzip -9n < "$dist/NOTICES" > "$1/usr/share/doc/appliance/NOTICES.gz"
  changelog | gzip -9n > "$1/usr/share/doc/appliance/changelog.gz"
  manuals "$1/usr/share/man/man1"
  completions "$1"
}

changelog() {
  printf 'appliance (%s) unstable; urgency=medium\n\n  * Built from commit %s.\n\n -- %s  %s\n' \
    "$VERSION" "$commit" "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

# The manual pages and completions come from the commands themselves, so this
# machine's own build writes them.
manuals() {
  mkdir -p "$1"
  "$host" man "$1"
  gzip -9n "$1"/*.1
}

completions() {
  install -d "$1/usr/share/bash-completion/completions" "$1/usr/share/zsh/vendor-completions" "$1/usr/share/fish/vendor_completions.d"
  "$host" completion bash > "$1/usr/share/bash-completion/completions/appliance"
  "$host" completion zsh > "$1/usr/share/zsh/vendor-completions/_appliance"
  "$host" completion fish > "$1/usr/share/fish/vendor_completions.d/appliance.fish"
}

control() { # tree arch
  local size
  size=$(du -k -s --apparent-size --exclude=DEBIAN "$1" | cut -f1)
  mkdir -p "$1/DEBIAN"
  sed -e "s/@VERSION@/$VERSION/; s/@ARCH@/$2/; s/@SIZE@/$size/; s/@MAINTAINER@/$maintainer/" \
    build/arm/deb/control > "$1/DEBIAN/control"
  echo /etc/appliance/appliance.toml > "$1/DEBIAN/conffiles"
  install -m 755 -t "$1/DEBIAN" build/arm/deb/postinst build/arm/deb/prerm build/arm/deb/postrm
  (cd "$1" && find usr etc -type f | LC_ALL=C sort | xargs md5sum > DEBIAN/md5sums)
}

host=$dist/bin/host/appliance
go build -trimpath -buildvcs=false -o "$host" ./cmd/appliance
for pair in $debs; do
  arch=${pair%:*} target=${pair#*:}
  tree=$(mktemp -d)
  chmod 755 "$tree"
  files "$tree" "$target"
  control "$tree" "$arch"
  find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$dist/appliance_${VERSION}_$arch.deb" >/dev/null
  rm -rf "$tree"
done
(cd "$dist" && sha256sum -- bin/*/appliance *.tar.gz *.deb > SHA256SUMS)
ls -l "$dist"/*.deb
