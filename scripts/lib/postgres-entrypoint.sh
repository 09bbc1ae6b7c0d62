#!/bin/sh
# Entrypoint of the PostgreSQL image for tests: makes the cluster on first start, then becomes the server.
# Same variables as the images that people use: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, PGDATA; and PGPORT.
set -eu
umask 077

[ "${1:-postgres}" = postgres ] || exec "$@"
[ $# -eq 0 ] || shift

data=${PGDATA:?must be set}
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

initialise() {
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo "postgres: POSTGRES_PASSWORD must be set and not empty" >&2
    exit 1
  fi
  # Made beside its place and moved there at the end: a first start that is killed leaves no half-made cluster.
  fresh=$data.new
  rm -rf "$fresh"
  password=$(mktemp /run/postgresql/password.XXXXXX)
  trap 'rm -f "$password"' EXIT
  printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
  initdb --pgdata="$fresh" --username="$user" --pwfile="$password" --encoding=UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256 >&2
  echo 'host all all all scram-sha-256' >>"$fresh/pg_hba.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s"\n' "$(printf %s "$database" | sed 's/"/""/g')" |
      postgres --single -j -D "$fresh" postgres >/dev/null
  fi
  mv "$fresh" "$data"
  rm -f "$password"
  trap - EXIT
}

[ -s "$data/PG_VERSION" ] || initialise
exec postgres -D "$data" -p "${PGPORT:-5432}" -c "listen_addresses=${POSTGRES_LISTEN_ADDRESSES:-127.0.0.1}" "$@"
