#!/usr/bin/env bash
# The licences of what the binary embeds, as they ask to be reproduced:
# Go, its modules, and the browser libraries. Prints them.
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"

notice() { # name file...
  local name=$1
  shift
  for file; do
    [ -e "$file" ] || continue
    printf '\n%s\n%s\n\n' "$name" "$(printf '%*s' "${#name}" '' | tr ' ' -)"
    cat "$file"
    return
  done
  die "no licence found of $name" "look for it in its folder, and teach this script its name"
}

echo "The appliance contains software of others, under these licences."
notice "Go $(go env GOVERSION)" "$(go env GOROOT)/LICENSE"
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/appliance | sort -u |
  while read -r path version dir; do
    notice "$path $version" "$dir"/LICENSE "$dir"/LICENSE.md "$dir"/LICENSE.txt "$dir"/LICENCE "$dir"/COPYING "$dir"/license.txt "$dir"/LICENSE-APACHE "$dir"/license "$dir"/license.md "$dir"/License
  done
find web realtime -iname '*licen[sc]e*' -not -path '*/node_modules/*' | LC_ALL=C sort | while read -r file; do notice "$file" "$file"; done
