#!/usr/bin/env bash
# A signed update bundle of dist/'s programs: dist/appliance_VERSION.update.
#   make bundle KEY=my.key      (made by: appliance update keygen my)
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"
key=${1:-}
[ -e "$key" ] || die "no key to sign with" "make bundle KEY=FILE; 'appliance update keygen NAME' makes a pair"
go run ./cmd/appliance update pack --key "$key" --of "$VERSION" \
  --program arm="$dist/bin/armv6/appliance" --program arm64="$dist/bin/arm64/appliance" \
  "$dist/appliance_$VERSION.update"
ls -l "$dist/appliance_$VERSION.update"
