#!/bin/bash
# Runs a command with a PostgreSQL for the tests, which is thrown away afterwards:
#
#   on-postgres.sh cargo nextest run --test e2e
#
# The tests that need a database then have it there, each in a schema of its own, instead of in a SQLite file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/postgres.sh" ensure
cluster=$("$here/postgres.sh" start)
trap '"$here/postgres.sh" stop "$cluster"' EXIT
export GAMEKEEPER_TEST_DATABASE_URL="postgres:///postgres?host=$cluster/socket&user=postgres"
"$@"
