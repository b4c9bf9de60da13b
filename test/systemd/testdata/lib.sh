# Sourced by the machines' scripts.
set -uo pipefail

say() { echo "[$(cut -d' ' -f1 /proc/uptime)] $*"; }
fail() { say "FAILED: $*"; journalctl --no-pager -o short-monotonic -n 40; exit 1; }
expect() { local what=$1; shift; "$@" || fail "$what: $*"; }
passed() { say PASSED; exit 0; }

is() { # what got want
  [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"
}

# Waits up to $1 seconds for a command to succeed.
within() {
  local deadline=$(($(date +%s%N) + $1 * 1000000000)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s%N)" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

serving() { curl -fsS -m 3 "http://127.0.0.1${1:-}/healthz"; }
property() { systemctl show -p "$2" --value "$1"; }
