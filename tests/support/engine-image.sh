#!/bin/bash
# Builds the reference engine's images. Needs Docker (docker.sh ensure), and no registry.
#
#   engine-image.sh                        gamekeeper/reference-engine:1.4.1, :1.4.2, :1.5.0, :hostile; quick when they
#                                          are there
#   engine-image.sh hostile                gamekeeper/reference-engine:hostile alone, which attacks at every start
#   engine-image.sh binary                 the static binary alone; prints its path
#   engine-image.sh variant TAG K=V…       an image TAG with environment baked in, such as
#                                          variant gamekeeper/reference-engine:1.4.3 ENGINE_VERSION=1.4.3 ENGINE_EXIT_AT_START=1
set -eu

cd "$(dirname "$0")/../.."
NAME=gamekeeper/reference-engine
VERSIONS="1.4.1 1.4.2 1.5.0"
LABEL=dev.gamekeeper.reference-engine.source
# A target directory of its own: other RUSTFLAGS would make the main one rebuild everything, each time, both ways.
TARGET_DIR=$PWD/target/engine
TARGET=$(rustc -vV | sed -n 's/^host: //p')
BINARY=$TARGET_DIR/$TARGET/release/reference-engine

# The classic builder where there is no buildx: this client would ask for it otherwise.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0

binary() {
  case $TARGET in
  *-linux-*) ;;
  *) echo "engine-image.sh: the engine is built for Linux containers on Linux; this is $TARGET" >&2; exit 1 ;;
  esac
  # With --target the flags stay away from build scripts and procedural macros, which cannot be static.
  RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=$TARGET_DIR \
    cargo build --quiet --release --target "$TARGET" -p reference-engine
}

# quietly COMMAND…: shows what it said only when it failed.
quietly() {
  local said
  said=$("$@" 2>&1) || { echo "$said" >&2; return 1; }
}

# images TAG…
images() {
  local source version tag hostile
  binary
  source=$(cat "$BINARY" tests/reference-engine/Dockerfile | sha256sum | cut -c1-16)
  context= # not local: the trap outlives this function
  for version in "$@"; do
    tag=$NAME:$version
    hostile=
    if [ "$version" = hostile ]; then hostile=true; fi
    if [ "$(docker image inspect -f "{{index .Config.Labels \"$LABEL\"}}" "$tag" 2>/dev/null)" = "$source" ]; then continue; fi
    if [ -z "$context" ]; then
      context=$(mktemp -d)
      trap 'rm -rf "$context"' EXIT
      cp "$BINARY" tests/reference-engine/Dockerfile "$context/"
    fi
    quietly docker build --build-arg "ENGINE_VERSION=$version" --build-arg "ENGINE_ATTACK=$hostile" --label "$LABEL=$source" -t "$tag" "$context"
    echo "engine-image.sh: built $tag"
  done
}

variant() {
  local tag=$1 pair
  shift
  {
    echo "FROM $NAME:${VERSIONS##* }"
    for pair in "$@"; do printf 'ENV %s="%s"\n' "${pair%%=*}" "$(printf %s "${pair#*=}" | sed 's/[\\"$]/\\&/g')"; done
  } | quietly docker build -t "$tag" -
}

case "${1:-all}" in
all) images $VERSIONS hostile ;;
hostile) images hostile ;;
binary) binary; echo "$BINARY" ;;
variant) shift; variant "${1:?a tag}" "${@:2}" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
