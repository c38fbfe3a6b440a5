#!/usr/bin/env bash
# Installs the servers and the browser that tests start (RabbitMQ, Redis, PostgreSQL, Prometheus, Chromium) from the system's
# packages, where that is allowed: as root, or with a sudo that asks for no password. Never fails: without a server its tests are skipped, and in CI they fail.
# LEVERET_NO_INSTALL=1 leaves the machine as it is.
set -uo pipefail

has_rabbitmq() {
  [ -n "${RABBITMQ_HOME:-}" ] || compgen -G "/usr/lib/rabbitmq/lib/rabbitmq_server-*" >/dev/null || command -v rabbitmq-server >/dev/null
}

missing=()
has_rabbitmq || missing+=(rabbitmq-server)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
command -v promtool >/dev/null && command -v prometheus >/dev/null || missing+=(prometheus)
[ ${#missing[@]} -eq 0 ] && exit 0

give_up() {
  echo "$1; the tests that need them cannot run. Install: $2" >&2
  exit 0
}

if ! command -v apt-get >/dev/null; then
  give_up "not installed: ${missing[*]}" "rabbitmq, redis, postgresql, prometheus and chromium, with your system's packages (macOS: brew install rabbitmq redis postgresql prometheus; brew install --cask chromium)"
fi
by_hand="sudo apt-get install --no-install-recommends ${missing[*]}"
[ "${LEVERET_NO_INSTALL:-}" = 1 ] && give_up "not installed: ${missing[*]}" "$by_hand"
if [ "$(id -u)" = 0 ]; then
  as_root=()
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  give_up "not installed: ${missing[*]}" "$by_hand"
fi

# Debian starts a service that it installs, unless this program says no. Tests start servers of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
fi
echo "installing ${missing[*]} for the tests" >&2
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null
}
log=$(mktemp)
# A list that cannot be fetched need not matter: what is wanted may be in another.
if ! { apt_get update; apt_get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  rm -f "$log"
  give_up "could not install ${missing[*]}" "$by_hand"
fi
rm -f "$log"
