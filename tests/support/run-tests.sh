#!/bin/bash
# Runs every test: with cargo-nextest where it is installed, else with cargo test.
#
#   run-tests.sh [yes]     yes: cargo-nextest is there
set -eu
cd "$(dirname "$0")/../.."

# Without root nothing can be installed: then the one test that needs PostgreSQL's programs is left
# out, and that is said.
without=
if ! tests/support/postgres.sh ensure; then
  [ "$(id -u)" != 0 ] || exit 1
  echo "run-tests.sh: PostgreSQL is not installed; the schema's tests on PostgreSQL are LEFT OUT" >&2
  without=postgres
fi

if [ "${1:-}" = yes ]; then
  exec cargo nextest run --workspace --locked --no-fail-fast ${without:+-E "not test($without)"}
fi
exec cargo test --workspace --locked --no-fail-fast -- ${without:+--skip "$without"}
