#!/bin/bash
# Runs every test: with cargo-nextest where it is installed, else with cargo test. First with SQLite, and then
# those that ask a database once more with PostgreSQL.
#
#   run-tests.sh [yes]     yes: cargo-nextest is there
set -eu
cd "$(dirname "$0")/../.."

# Without root nothing can be installed, and no second dockerd be started: then the tests that need
# PostgreSQL's programs or a daemon of their own are left out, and that is said.
without=()
postgres=yes
if ! tests/support/postgres.sh ensure; then
  [ "$(id -u)" != 0 ] || exit 1
  echo "run-tests.sh: PostgreSQL is not installed; everything on PostgreSQL is LEFT OUT" >&2
  without+=(postgres)
  postgres=
fi
if [ "$(id -u)" != 0 ]; then
  echo "run-tests.sh: not root; the tests that kill and fill a Docker daemon of their own are LEFT OUT" >&2
  without+=(own_daemon::)
fi

# Copies share their contents where the file system can; a small one that can is made for that.
if [ "$(id -u)" = 0 ] && ! command -v mkfs.xfs >/dev/null && command -v apt-get >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends xfsprogs >/dev/null 2>&1 ||
    echo "run-tests.sh: xfsprogs is not installed; copies that share their contents are LEFT OUT" >&2
fi

# A failed assertion says where it stands; the frames of the executor beneath it say nothing.
export RUST_BACKTRACE=0

nextest=${1:-}
failed=0

# run NAME… -- CARGO ARGUMENTS: without the tests of these names
run() {
  local names=() name filter='all()' skip=()
  while [ "$1" != -- ]; do names+=("$1"); shift; done
  shift
  if [ "$nextest" = yes ]; then
    for name in "${names[@]}"; do filter+=" and not test($name)"; done
    cargo nextest run --locked --no-fail-fast "$@" -E "$filter" || failed=1
  else
    for name in "${names[@]}"; do skip+=(--skip "$name"); done
    cargo test --locked --no-fail-fast "$@" -- "${skip[@]}" || failed=1
  fi
}

run "${without[@]}" -- --workspace

if [ -n "$postgres" ]; then
  cluster=$(tests/support/postgres.sh start)
  trap 'tests/support/postgres.sh stop "$cluster"' EXIT
  export GAMEKEEPER_TEST_DATABASE_URL="postgres:///postgres?host=$cluster/socket&user=postgres"
  # What is SQLite's own: rows past its types, its file and its locks, its triggers, INSERT OR REPLACE, its dialect in
  # docs/lobby.md (the schema's tests run the page on PostgreSQL). And a start without the Docker Engine or the
  # state root of the games: there a candidate does not lead, which tests/postgres shows. A second controller
  # stands by there. And once is enough for what takes minutes to try the documents of OpenAPI.
  sqlite_only=(clients::openapi unreadable:: database_away:: crowd:: a_row_replaced_by_hand rows_of_nonsense
    last_nights_database another_database_does_not the_page_s_statements process::
    a_database_file_that_is_moved_away a_record_that_the_database_refuses
    a_second_controller_on_one_directory)
  # Where Docker and the engine are what matters, and the database only keeps the outcome, once is enough too; so it
  # is for the command line, which asks the API.
  of_no_dialect=(blocked:: docker_silent:: healing:: hostile_image:: inputs:: long_copies:: lost_images::
    patch_commands:: patching_many:: quiet:: sidecars:: stopping::)
  # Of the whole workspace as before: with fewer packages cargo chooses other features, and builds anew.
  run "${sqlite_only[@]}" "${of_no_dialect[@]}" -- --workspace --test api --test lobby --test e2e
fi
exit "$failed"
