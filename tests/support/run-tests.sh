#!/bin/bash
# Runs every test: with cargo-nextest where it is installed, else with cargo test.
#
#   run-tests.sh [yes]     yes: cargo-nextest is there
set -eu
cd "$(dirname "$0")/../.."

# Without root nothing can be installed, and no second dockerd be started: then the tests that need
# PostgreSQL's programs or a daemon of their own are left out, and that is said.
without=()
if ! tests/support/postgres.sh ensure; then
  [ "$(id -u)" != 0 ] || exit 1
  echo "run-tests.sh: PostgreSQL is not installed; the schema's tests on PostgreSQL are LEFT OUT" >&2
  without+=(postgres)
fi
if [ "$(id -u)" != 0 ]; then
  echo "run-tests.sh: not root; the tests that kill and fill a Docker daemon of their own are LEFT OUT" >&2
  without+=(own_daemon::)
fi

if [ "${1:-}" = yes ]; then
  filter='all()'
  for name in "${without[@]}"; do filter+=" and not test($name)"; done
  exec cargo nextest run --workspace --locked --no-fail-fast -E "$filter"
fi
skip=()
for name in "${without[@]}"; do skip+=(--skip "$name"); done
exec cargo test --workspace --locked --no-fail-fast -- "${skip[@]}"
