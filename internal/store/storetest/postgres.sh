#!/bin/sh
# Starts a PostgreSQL server of its own in a temporary directory, runs the journal's suite and the race of two controllers against
# it, and ends it. The server's programs are needed (apt-get install postgresql); nothing of an installed server is touched.
set -eu
bin=$(dirname "$(command -v initdb 2>/dev/null || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1)")
if [ ! -x "$bin/initdb" ]; then
  echo "make postgres: no PostgreSQL server here; apt-get install postgresql" >&2
  exit 1
fi
dir=$(mktemp -d /tmp/justright-pg.XXXXXX)
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then # the server does not run as root
  chown postgres "$dir"
  as() { runuser -u postgres -- "$@"; }
fi
cd "$dir"
trap 'as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || :; rm -rf "$dir"' EXIT INT TERM
as "$bin/initdb" -D "$dir/data" -A trust -U justright --no-sync >"$dir/initdb.log"
# Its socket in the directory is all it listens on, so that no port can be taken.
as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-k $dir -c listen_addresses=''" start >/dev/null
cd "$OLDPWD"
export JUSTRIGHT_TEST_POSTGRES="postgres://justright@/postgres?host=$dir&sslmode=disable"
go test ./internal/store ./internal/runner ./internal/cli -count=1 -run 'Postgres|Controllers|SharedJournal' -v
