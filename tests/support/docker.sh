#!/bin/bash
# Gives the tests a Docker daemon on a machine that has none, and leaves one that answers alone.
#
#   docker.sh ensure            do nothing where Docker answers; else (as root) install and start dockerd
#   docker.sh stop              stop the dockerd that `ensure` started, and no other
#   docker.sh second NAME       start a throw-away dockerd of its own; prints its DOCKER_HOST
#   docker.sh second-stop NAME  stop it, and remove its data (works after a kill -9 too)
set -eu

if [ "$(id -u)" = 0 ]; then
  RUN=/var/run/gamekeeper-dockerd
else
  RUN=${XDG_RUNTIME_DIR:-/tmp}/gamekeeper-dockerd
fi
START_DEADLINE=${DOCKERD_START_DEADLINE:-60}

say() { echo "docker.sh: $*" >&2; }
die() { say "$@"; exit 1; }

# Does Docker answer, wherever the client would look for it (DOCKER_HOST, the current context, the default socket)?
answers() {
  if command -v docker >/dev/null; then
    timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
  else
    [ -S /var/run/docker.sock ] && timeout 10 curl -fsS --unix-socket /var/run/docker.sock http://docker/_ping >/dev/null 2>&1
  fi
}

# Is process $1 a NAME that lives? A pid file alone proves nothing: pids are reused, and where process 1 reaps nobody a
# killed daemon keeps its pid and name (but has no command line any more).
is_alive() {
  [ -n "$1" ] && [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ] &&
    [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$1/cmdline")" ]
}

is_dockerd() { is_alive "$1" dockerd; }

# forget_containerd EXEC_ROOT: dockerd would wait in vain for a dead containerd whose pid file is still there.
forget_containerd() {
  local file=$1/containerd/containerd.pid
  is_alive "$(cat "$file" 2>/dev/null || true)" containerd || rm -f "$file"
}

install_dockerd() {
  command -v dockerd >/dev/null && return
  command -v apt-get >/dev/null || die "no dockerd here and no apt-get to install it with: install Docker by hand"
  say "installing Debian's docker.io"
  local log=$RUN/apt.log
  export DEBIAN_FRONTEND=noninteractive
  apt-get update >"$log" 2>&1 || say "apt-get update failed, going on with the lists that are here"
  apt-get install -y --no-install-recommends docker.io iptables >>"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get install docker.io failed"
  }
}

# Without systemd nobody may have mounted the cgroup hierarchies that runc needs.
mount_cgroups() {
  local controller
  grep -q ' /sys/fs/cgroup' /proc/mounts && return
  say "mounting the cgroup hierarchies"
  if [ "$(awk '$1 == "memory" { print $2 }' /proc/cgroups)" = 0 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    return
  fi
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  for controller in $(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
    mkdir -p "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || rmdir "/sys/fs/cgroup/$controller"
  done
}

# iptables in its two flavours: the kernel may know only one. dockerd finds the one that answers to `iptables`.
iptables_works() {
  local legacy
  iptables -t nat -nL >/dev/null 2>&1 && return
  legacy=$(command -v iptables-legacy) || return 1
  "$legacy" -t nat -nL >/dev/null 2>&1 || return 1
  say "the kernel has no nf_tables: putting the legacy iptables first in dockerd's PATH"
  mkdir -p "$RUN/bin"
  ln -sf "$legacy" "$RUN/bin/iptables"
  PATH=$RUN/bin:$PATH
}

bridge_works() {
  ip link add gkprobe0 type bridge 2>/dev/null || return 1
  ip link del gkprobe0 2>/dev/null || true
}

# Sets FLAGS to what this kernel needs; the first choice is always dockerd's own defaults.
probe_flags() {
  FLAGS=()
  iptables_works || { say "no iptables here: containers reach no network beyond the host"; FLAGS+=(--iptables=false --ip-masq=false); }
  bridge_works || { say "no bridges here: host network only"; FLAGS+=(--bridge=none); }
}

# launch DIR ARGS…: dockerd in the background, its log and process id in DIR.
launch() {
  local dir=$1
  shift
  # Descriptors of the caller (a make's job server, a test's pipe) must not live on in the daemon.
  setsid dockerd --pidfile "$dir/dockerd.pid" "$@" </dev/null >>"$dir/dockerd.log" 2>&1 3>&- 4>&- 5>&- &
  echo $! >"$dir/launched.pid"
}

# wait_for HOST DIR: 0 when it answers; 1 when it died or the deadline passed.
wait_for() {
  local end=$((SECONDS + START_DEADLINE))
  while [ $SECONDS -lt $end ]; do
    if [ -S "${1#unix://}" ] && timeout 10 docker -H "$1" version >/dev/null 2>&1; then return 0; fi
    # setsid may have forked, so the process launched is not always the daemon.
    if [ -s "$2/dockerd.pid" ] || kill -0 "$(cat "$2/launched.pid")" 2>/dev/null; then sleep 0.2; else return 1; fi
  done
  return 1
}

failed() {
  say "dockerd did not come up within $START_DEADLINE s; the end of $1/dockerd.log:"
  tail -n 25 "$1/dockerd.log" >&2
  exit 1
}

ensure() {
  answers && return
  if [ -n "${DOCKER_HOST:-}" ] && [ "$DOCKER_HOST" != unix:///var/run/docker.sock ]; then
    die "DOCKER_HOST is $DOCKER_HOST and nothing answers there: start it, or unset DOCKER_HOST"
  fi
  [ "$(id -u)" = 0 ] || die "Docker does not answer and only root can start it. Start Docker, or set DOCKER_HOST to one" \
    "that runs, or add yourself to the group docker, or run this once as root."
  mkdir -p "$RUN"
  # Two at once (two test runs on a fresh machine) must not start two daemons.
  exec 9>"$RUN/lock"
  flock 9
  answers && return
  install_dockerd
  # The package may have started its own service.
  sleep 1
  answers && { say "Docker is running (started by its package)"; return; }
  mount_cgroups
  probe_flags
  say "starting dockerd ${FLAGS[*]:-} (log: $RUN/dockerd.log)"
  rm -f "$RUN/dockerd.pid"
  forget_containerd /var/run/docker
  : >"$RUN/dockerd.log"
  launch "$RUN" "${FLAGS[@]}" 9>&-
  wait_for unix:///var/run/docker.sock "$RUN" || failed "$RUN"
  say "Docker $(docker -H unix:///var/run/docker.sock version --format '{{.Server.Version}}') is running;" \
    "\`$0 stop\` stops it"
}

# terminate DIR: SIGTERM, and SIGKILL when it has not gone after 20 s.
terminate() {
  local pid i
  pid=$(cat "$1/dockerd.pid" 2>/dev/null || true)
  is_dockerd "$pid" || return 0
  kill "$pid"
  for i in $(seq 100); do
    is_dockerd "$pid" || break
    sleep 0.2
  done
  is_dockerd "$pid" && kill -9 "$pid"
  rm -f "$1/dockerd.pid"
}

stop() {
  if is_dockerd "$(cat "$RUN/dockerd.pid" 2>/dev/null || true)"; then
    terminate "$RUN"
    say "dockerd stopped"
  else
    say "no dockerd of ours is running"
  fi
}

second_names() {
  [[ "$1" =~ ^[a-z0-9]{1,8}$ ]] || die "second: a name of 1 to 8 lower-case letters and digits"
  DIR=/run/gamekeeper-second/$1
  DATA=/var/lib/gamekeeper-second/$1
  BRIDGE=gks-$1
}

# Containers keep their processes when their dockerd is killed: those of its shims go with it.
reap_second() {
  local pid bridge
  for pid in $(pgrep -f "containerd-shim.*$DIR/" || true) $(pgrep -f "containerd .*$DIR/" || true); do
    pkill -9 -P "$pid" 2>/dev/null || true
    kill -9 "$pid" 2>/dev/null || true
  done
  # The bridges of its networks: those whose id its own database knows (which may be on a
  # file system that is unmounted next).
  for bridge in /sys/class/net/br-*; do
    bridge=${bridge##*/}
    if grep -qas "${bridge#br-}" "$DATA/network/files/local-kv.db"; then ip link del "$bridge" || true; fi
  done
  awk -v d="$DATA/" -v e="$DIR/" 'index($2 "/", d) == 1 || index($2 "/", e) == 1 { print $2 }' /proc/mounts | sort -r |
    while read -r mounted; do umount -l "$mounted" || true; done
}

# Older engines take their identity from one key for the whole machine, newer ones keep it in their data root (and
# would not start with this option).
own_identity() {
  IDENTITY=()
  case $(dockerd --version) in
  "Docker version 1"* | "Docker version 20."*)
    echo "{\"deprecated-key-path\": \"$DATA/key.json\"}" >"$DIR/daemon.json"
    IDENTITY=(--config-file "$DIR/daemon.json")
    ;;
  esac
}

second() {
  [ "$(id -u)" = 0 ] || die "second: needs root"
  local octet
  second_names "$1"
  if is_dockerd "$(cat "$DIR/dockerd.pid" 2>/dev/null || true)"; then echo "unix://$DIR/docker.sock"; return; fi
  mkdir -p "$DIR" "$DATA" "$RUN"
  install_dockerd
  # The same name gets the same addresses again, different names mostly different ones.
  octet=$((1 + $(printf %s "$1" | cksum | cut -d' ' -f1) % 200))
  ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
  ip addr replace "10.213.$octet.1/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  rm -f "$DIR/dockerd.pid" "$DIR/docker.sock"
  forget_containerd "$DIR/exec"
  : >"$DIR/dockerd.log"
  own_identity
  # What a killed one left running under this name is adopted. No --default-address-pool: with it, a restarted Engine
  # 20.10 removes docker0, which is the first daemon's.
  launch "$DIR" -H "unix://$DIR/docker.sock" --data-root "$DATA" --exec-root "$DIR/exec" -b "$BRIDGE" \
    --iptables=false --ip-masq=false "${IDENTITY[@]}" "${@:2}"
  wait_for "unix://$DIR/docker.sock" "$DIR" || failed "$DIR"
  echo "unix://$DIR/docker.sock"
}

second_stop() {
  second_names "$1"
  terminate "$DIR"
  reap_second
  ip link del "$BRIDGE" 2>/dev/null || true
  rm -rf --one-file-system "$DIR" "$DATA"
}

case "${1:-}" in
ensure) ensure ;;
stop) stop ;;
second) second "${2:?a name}" "${@:3}" ;;
second-stop) second_stop "${2:?a name}" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
