# Sourced by the scripts beside it: what is released, from which commit, when.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

base=0.1.0 # the next release; a tag v$base makes it that
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1790000000)}
export SOURCE_DATE_EPOCH
if [ -z "${VERSION:-}" ]; then
  if git describe --exact-match --match "v$base" >/dev/null 2>&1; then
    VERSION=$base
  else
    # Debian sorts ~ before anything, so a development build is older than its release.
    VERSION=$base~dev$(git rev-list --count HEAD 2>/dev/null || echo 0)+g$commit
  fi
fi
date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
dist=${DIST:-dist}

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
