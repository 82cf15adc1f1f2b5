#!/bin/bash
# Gives the tests a throw-away PostgreSQL of their own: a cluster in a new directory, reached by a unix socket only.
# It never touches another PostgreSQL on the machine.
#
#   postgres.sh ensure       do nothing where the server's programs are installed; else (as root) install them
#   postgres.sh start        make and start a cluster; prints the directory it lives in, whose `socket` is its host
#   postgres.sh restart DIR  restart it without asking any connection
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

ensure() {
  programs >/dev/null && return
  [ "$(id -u)" = 0 ] || die "PostgreSQL's server programs are missing; install them: apt-get install $PACKAGE"
  say "installing the package $PACKAGE; no cluster is made and no service started"
  # Debian's package would make and start a cluster by itself.
  mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/gamekeeper-tests.conf
  apt-get update -q >&2 || say "apt-get update failed; trying with the lists there are"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$PACKAGE" >&2
  rm -f /etc/postgresql-common/createcluster.d/gamekeeper-tests.conf
  programs >/dev/null || die "installed $PACKAGE, but there is no initdb under /usr/lib/postgresql"
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

stop() {
  ours "$1"
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
restart) restart "${2:?which cluster}" ;;
tls) tls "${2:?which cluster}" "${3:?on which port}" "${4:?which certificate}" "${5:?which key}" ;;
*) die "usage: postgres.sh ensure | start | restart DIR | tls DIR PORT CERTIFICATE KEY | stop DIR" ;;
esac
