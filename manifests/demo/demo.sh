#!/bin/bash
# The demo, and `make run`: a controller on the embedded SQLite in a directory of its own, two
# engine versions, three games.
#
#   demo.sh demo    … kills an engine, shows it healed, stops what it started, ends
#   demo.sh run     … stays in the foreground until Ctrl-C; the games and their data stay for the next time
set -eu
cd "$(dirname "$0")/../.."
mode=${1:?demo or run}
say() { printf '\n== %s\n' "$*"; }

docker_was_there=yes
docker version >/dev/null 2>&1 || docker_was_there=no
tests/support/docker.sh ensure
say "building the engine's images and gamekeeper"
tests/support/engine-image.sh
cargo build --release --locked
gk=$PWD/target/release/gamekeeper

home=$PWD/.gamekeeper/$mode
[ "$mode" = run ] || rm -rf "$home"
mkdir -p "$home"
export GAMEKEEPER_DATA_DIR=$home/data
network=gamekeeper-$mode
listen=${GAMEKEEPER_LISTEN:-127.0.0.1:0}
keeper=

finish() {
  code=$?
  trap - EXIT INT TERM
  if [ -n "$keeper" ] && kill -0 "$keeper" 2>/dev/null; then
    if [ "$mode" = demo ]; then
      say "stopping what was started"
      "$gk" delete -f manifests/demo --ignore-not-found --wait --timeout 60s || code=1
    else
      say "the controller ends; the games' engines stay up. \`make run\` again finds them as they are."
    fi
    kill -TERM "$keeper"
    wait "$keeper" || code=1
  fi
  if [ "$mode" = demo ]; then
    docker network rm "$network" >/dev/null 2>&1 || true
    [ "$code" = 0 ] || { echo "demo.sh: failed; the controller's log: $home/log" >&2; tail -n 20 "$home/log" >&2 || true; }
    [ "$docker_was_there" = yes ] || tests/support/docker.sh stop || code=1
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "starting the controller in $home"
mkfifo "$home/ready.$$"
"$gk" run --state-root "$home/games" --network "$network" --listen "$listen" --probe-interval 2s \
  >"$home/ready.$$" 2>>"$home/log" &
keeper=$!
# The controller prints one line when it is ready; if it ends without one, its log says why.
ready=$(head -n 1 "$home/ready.$$" || true)
rm -f "$home/ready.$$"
[ -n "$ready" ] || { tail -n 5 "$home/log" >&2; exit 1; }
echo "$ready"

say "applying manifests/demo"
"$gk" apply -f manifests/demo --wait --timeout 90s
"$gk" get games -o wide

if [ "$mode" = run ]; then
  say "running; in another terminal: export GAMEKEEPER_DATA_DIR=$GAMEKEEPER_DATA_DIR; $gk get games"
  wait "$keeper"
  keeper=
  exit 0
fi

say "killing the engine of andromeda"
id=$("$gk" get game/andromeda -o json | sed -n 's/.*"uid": "\([^"]*\)".*/\1/p')
docker kill -s KILL "gamekeeper-$id" >/dev/null
for _ in $(seq 300); do
  restarts=$("$gk" get game/andromeda -o json | sed -n 's/.*"restartCount": \([0-9]*\).*/\1/p')
  [ "${restarts:-0}" -ge 1 ] && break
  sleep 0.1
done
[ "${restarts:-0}" -ge 1 ] || { echo "demo.sh: the dead engine was not noticed" >&2; exit 1; }
"$gk" wait game/andromeda --for=condition=Ready --timeout 60s
say "healed"
"$gk" get games
"$gk" ops andromeda
