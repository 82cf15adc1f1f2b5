#!/bin/bash
# Gives the tests a throw-away PostgreSQL of their own: a cluster in a new directory, reached by a unix socket only.
# It never touches another PostgreSQL on the machine.
#
#   postgres.sh ensure       do nothing where the server's programs are installed; else (as root) install them
#   postgres.sh start        make and start a cluster; prints the directory it lives in, whose `socket` is its host
#   postgres.sh restart DIR  restart it without asking any connection
#   postgres.sh pooler DIR MODE [SETTING]...
#                            put PgBouncer before it, in this pool mode and with these settings (`name = value`),
#                            in place of one that was there; prints the directory that is its host, at port 6432
#   postgres.sh tls DIR PORT CERTIFICATE KEY
#                            restart it with TLS on this port of 127.0.0.1, where it takes nobody without
#   postgres.sh stop DIR     stop that cluster and remove the directory
#
# PostgreSQL refuses to run as root: the cluster then belongs to the user `postgres`, which the package makes.
set -eu

PACKAGE=${POSTGRES_PACKAGE:-postgresql-15}
START_DEADLINE=${POSTGRES_START_DEADLINE:-60}

say() { echo "postgres.sh: $*" >&2; }
die() { say "$@"; exit 1; }

# The directory with initdb and pg_ctl: the newest that is installed.
programs() {
  local dir
  for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
    [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ] && { echo "$dir"; return; }
  done
  dir=$(command -v initdb) && dirname "$(readlink -f "$dir")"
}

as_owner() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

pooler_program() { command -v pgbouncer || { [ -x /usr/sbin/pgbouncer ] && echo /usr/sbin/pgbouncer; }; }

ensure() {
  programs >/dev/null && pooler_program >/dev/null && return
  [ "$(id -u)" = 0 ] || die "PostgreSQL's server programs or PgBouncer are missing; install them: apt-get install $PACKAGE pgbouncer"
  say "installing the packages $PACKAGE and pgbouncer; no cluster is made and no service started"
  local policy=
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
  fi
  # Debian's package would make and start a cluster by itself.
  mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/gamekeeper-tests.conf
  apt-get update -q >&2 || say "apt-get update failed; trying with the lists there are"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$PACKAGE" pgbouncer >&2 ||
    say "apt-get install failed"
  rm -f /etc/postgresql-common/createcluster.d/gamekeeper-tests.conf
  [ -z "$policy" ] || rm -f "$policy"
  programs >/dev/null || die "installed $PACKAGE, but there is no initdb under /usr/lib/postgresql"
  pooler_program >/dev/null || die "installed pgbouncer, but there is no such program"
}

start() {
  local bin dir
  bin=$(programs) || die "PostgreSQL's server programs are missing; run: tests/support/postgres.sh ensure"
  dir=$(mktemp -d "${TMPDIR:-/tmp}/gamekeeper-pg.XXXXXX")
  [ "$(id -u)" = 0 ] && chown postgres "$dir"
  chmod 0755 "$dir"
  cd "$dir"
  if ! { as_owner mkdir "$dir/socket" &&
    as_owner "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C -N >"$dir/initdb.log" 2>&1 &&
    as_owner "$bin/pg_ctl" -D "$dir/data" -w -t "$START_DEADLINE" -l "$dir/data/server.log" \
      -o "-c listen_addresses='' -c unix_socket_directories='$dir/socket' -c fsync=off -c max_connections=300" start >/dev/null; }; then
    cat "$dir/initdb.log" "$dir/data/server.log" >&2 2>/dev/null || true
    stop "$dir"
    die "no cluster could be started"
  fi
  echo "$dir"
}

ours() {
  case $1 in
  */gamekeeper-pg.??????) ;;
  *) die "not a cluster of this script: $1" ;;
  esac
}

restart() {
  ours "$1"
  cd "$1"
  as_owner "$(programs)/pg_ctl" -D "$1/data" -w -t "$START_DEADLINE" -m immediate -l "$1/data/server.log" restart >/dev/null
}

tls() {
  local dir=$1 port=$2
  ours "$dir"
  cp "$3" "$dir/data/server.crt"
  cp "$4" "$dir/data/server.key"
  chmod 0600 "$dir/data/server.key"
  [ "$(id -u)" = 0 ] && chown postgres "$dir/data/server.crt" "$dir/data/server.key"
  printf '%s\n' 'local all all trust' 'hostssl all all 127.0.0.1/32 trust' >"$dir/data/pg_hba.conf"
  cd "$dir"
  as_owner "$(programs)/pg_ctl" -D "$dir/data" -w -t "$START_DEADLINE" -m fast -l "$dir/data/server.log" \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c ssl=on -c unix_socket_directories='$dir/socket' -c fsync=off" \
    restart >/dev/null
}

pooler() {
  local dir=$1 mode=$2 program waited=0
  shift 2
  ours "$dir"
  program=$(pooler_program) || die "PgBouncer is missing; run: tests/support/postgres.sh ensure"
  stop_pooler "$dir"
  cd "$dir"
  as_owner mkdir -p "$dir/pooler"
  {
    printf '[databases]\n* = host=%s user=postgres\n[pgbouncer]\n' "$dir/socket"
    printf 'listen_port = 6432\nunix_socket_dir = %s\nauth_type = any\npool_mode = %s\n' "$dir/pooler" "$mode"
    printf 'pidfile = %s\nlogfile = %s\n' "$dir/pooler/pid" "$dir/pooler/log"
    printf '%s\n' "$@"
  } >"$dir/pooler/ini"
  [ "$(id -u)" = 0 ] && chown postgres "$dir/pooler/ini"
  as_owner "$program" -q -d "$dir/pooler/ini" || { cat "$dir/pooler/log" >&2; die "PgBouncer does not start"; }
  # It goes to the background before it listens.
  until [ -S "$dir/pooler/.s.PGSQL.6432" ] && [ -s "$dir/pooler/pid" ]; do
    waited=$((waited + 1))
    [ "$waited" -lt 100 ] || { cat "$dir/pooler/log" >&2; die "PgBouncer does not listen"; }
    sleep 0.1
  done
  echo "$dir/pooler"
}

stop_pooler() {
  local pid waited=0
  [ -f "$1/pooler/pid" ] || return 0
  pid=$(cat "$1/pooler/pid")
  kill -INT "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do
    waited=$((waited + 1))
    [ "$waited" -lt 20 ] || kill -KILL "$pid" 2>/dev/null || true
    sleep 0.1
  done
  rm -rf "$1/pooler"
}

stop() {
  ours "$1"
  stop_pooler "$1"
  if [ -f "$1/data/postmaster.pid" ]; then
    cd "$1"
    as_owner "$(programs)/pg_ctl" -D "$1/data" -w -m immediate stop >/dev/null 2>&1 || say "no server was running in $1"
  fi
  rm -rf "$1"
}

case ${1:-} in
ensure) ensure ;;
start) start ;;
stop) stop "${2:?which cluster}" ;;
pooler) pooler "${2:?which cluster}" "${3:?in which mode}" "${@:4}" ;;
restart) restart "${2:?which cluster}" ;;
tls) tls "${2:?which cluster}" "${3:?on which port}" "${4:?which certificate}" "${5:?which key}" ;;
*) die "usage: postgres.sh ensure | start | restart DIR | pooler DIR MODE [SETTING]... | tls DIR PORT CERTIFICATE KEY | stop DIR" ;;
esac
