#!/bin/sh
# Installs all that Fairlead needs to run from a checkout: npm dependencies (among them Node 24) and Debian packages.
# Running it again costs a moment when there is nothing to do.
set -eu
# Another user must be able to read node_modules: tests run the command line as `nobody`.
umask 022

root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
  for line in "$@"; do say "$line"; done
  exit 1
}

# --- Debian packages ---------------------------------------------------------------------------------------------

wanted_packages() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' scripts/debian-packages.txt | tr -d ' \t'
  # Debian 12 has Go 1.19: enough to fetch the Go that the test cluster is built with (scripts/lib/go.ts).
  command -v go >/dev/null || [ -x /usr/local/go/bin/go ] || echo golang-go
}

missing_packages() {
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
  wanted_packages | while read -r package; do
    printf '%s\n' "$installed" | grep -qxF "$package" || printf '%s ' "$package"
  done
}

# Debian starts a service as soon as its package is installed. docker-registry would then listen on all addresses,
# and redis-server on loopback; policy-rc.d (see invoke-rc.d(8)) says no while we install. One that is there already is left as it is.
forbid_services() {
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && return
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
}

apt_install() { apt-get install -y -q --no-install-recommends "$@"; }

install_packages() {
  say "installing Debian packages: $*"
  export DEBIAN_FRONTEND=noninteractive
  forbid_services
  log=$(mktemp)
  # Package lists are fetched only when those at hand do not do: none yet on a fresh machine, or outdated ones.
  if ! apt_install "$@" >"$log" 2>&1; then
    if ! { apt-get update -q && apt_install "$@"; } >"$log" 2>&1; then
      tail -n 15 "$log" >&2
      rm -f "$log"
      fail "apt-get could not install the packages above." \
        "Is the network up, and does /etc/apt/sources.list.d name a Debian 12 mirror? Then run this again."
    fi
  fi
  rm -f "$log"
  for service in docker-registry redis-server; do
    case " $* " in *" $service "*) forbid_at_boot "$service" ;; esac
  done
}

# The same for the next boot; on a machine that had the package before, this is not ours to change.
forbid_at_boot() {
  command -v systemctl >/dev/null || return 0
  systemctl disable --quiet "$1" 2>/dev/null || say "could not disable the service $1"
}

setup_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || fail \
    "this machine has no dpkg and apt-get: setup knows Debian 12 only." \
    "Install these by your own means: $(wanted_packages | tr '\n' ' ')"
  missing=$(missing_packages)
  [ -z "$missing" ] && return
  [ "$(id -u)" -eq 0 ] || fail \
    "these Debian packages are missing, and only root can install them: $missing" \
    "Run 'sudo make setup', or as root: apt-get install --no-install-recommends $missing"
  # shellcheck disable=SC2086 -- a list of names, to be split
  install_packages $missing
}

# --- npm dependencies --------------------------------------------------------------------------------------------

npm_stamp=node_modules/.fairlead-setup

npm_key() { cat package-lock.json .npmrc | sha256sum | cut -d ' ' -f 1; }

check_node() {
  command -v node >/dev/null && command -v npm >/dev/null || fail \
    "node and npm are missing: install Node 20 or newer (https://nodejs.org), which brings npm." \
    "The Node 24 that Fairlead runs on is then installed into node_modules by this script."
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "node is version $(node -v), and npm packages need Node 20 or newer."
}

setup_npm() {
  key=$(npm_key)
  [ "$(cat "$npm_stamp" 2>/dev/null)" = "$key" ] && return
  check_node
  say "installing npm dependencies into node_modules"
  # Warnings about the Node that npm itself runs on mean nothing here: Node 24 is what is being installed.
  npm ci --no-audit --no-fund --loglevel=error >&2 || fail \
    "npm ci failed; its own words are above." \
    "Without network it can only succeed when npm's cache holds all packages."
  [ -x node_modules/.bin/node ] || fail \
    "npm ci succeeded, but node_modules/.bin/node is missing." \
    "Allow install scripts: npm config get ignore-scripts must say false."
  printf '%s\n' "$key" >"$npm_stamp"
}

setup_packages
setup_npm
