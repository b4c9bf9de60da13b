#!/usr/bin/env bash
# Static, reproducible binaries for every board, and a tarball of each with its
# units and an installer, for systems without dpkg. Result: dist/.
# TARGETS="arm64 armv6" builds only those.
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"

targets=${TARGETS:-armv6 armv7 arm64 amd64 riscv64}

ldflags="-s -w -buildid= -X main.version=$VERSION -X main.commit=$commit -X main.date=$date"

build() { # target
  local arch=$1 arm=
  case $1 in armv6) arch=arm arm=6 ;; armv7) arch=arm arm=7 ;; esac
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOARM=$arm go build -trimpath -buildvcs=false \
    -ldflags "$ldflags" -o "$dist/bin/$1/appliance" ./cmd/appliance
}

tarball() { # target
  local name=appliance_${VERSION}_linux_$1 tree
  tree=$(mktemp -d)
  install -D -m 755 "$dist/bin/$1/appliance" "$tree/$name/appliance"
  install -m 755 build/arm/tarball/install.sh "$tree/$name/install.sh"
  install -m 644 LICENSE README.md "$dist/NOTICES" "$tree/$name/"
  mkdir "$tree/$name/systemd"
  cp -r systemd/*.service systemd/*.socket systemd/sysusers.d systemd/tmpfiles.d systemd/sysctl.d systemd/polkit "$tree/$name/systemd/"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode='u+rwX,go+rX,go-w' \
    -C "$tree" -cf - "$name" | gzip -9n > "$dist/$name.tar.gz"
  rm -rf "$tree"
}

mkdir -p "$dist"
rm -f "$dist"/*.tar.gz "$dist/SHA256SUMS"
build/arm/notices.sh > "$dist/NOTICES"
for target in $targets; do
  build "$target"
  tarball "$target"
done
(cd "$dist" && sha256sum -- bin/*/appliance *.tar.gz > SHA256SUMS)
ls -l "$dist"/bin/*/appliance "$dist"/*.tar.gz
