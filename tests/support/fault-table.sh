#!/bin/bash
# Every test that docs/faults.md names exists, and every fault in it has one.
set -eu
cd "$(dirname "$0")/../.."
table=docs/faults.md
failed=0

refuse() {
  echo "fault-table: $*" >&2
  failed=1
}

rows=0
while IFS= read -r row; do
  rows=$((rows + 1))
  fault=$(echo "$row" | cut -d'|' -f2 | sed 's/^ *//; s/ *$//')
  tests=$(echo "$row" | grep -oE '`[a-zA-Z0-9_/]+\.rs::[a-zA-Z0-9_]+`' | tr -d '`' || true)
  [ -n "$tests" ] || refuse "$fault has no test"
  for test in $tests; do
    file=${test%%::*}
    case $file in src/*) ;; *) file=tests/$file ;; esac
    grep -qE "\bfn ${test##*::}\(" "$file" 2>/dev/null || refuse "$fault: there is no $test"
  done
  # What is in backquotes and is no test would not be looked at.
  odd=$(echo "$row" | cut -d'|' -f4 | sed -E 's/`[a-zA-Z0-9_/]+\.rs::[a-zA-Z0-9_]+`//g; s/<br>//g; s/ //g')
  [ -z "$odd" ] || refuse "$fault: what is \"$odd\"?"
done < <(grep -E '^\| [A-Z][0-9]+ ' "$table")

[ "$rows" -gt 0 ] || refuse "$table has no rows"
twice=$(grep -oE '^\| [A-Z][0-9]+ [^|]*\|' "$table" | sort | uniq -d | tr -d '|\n')
[ -z "$twice" ] || refuse "$twice: more than one row"
[ "$failed" = 0 ] && echo "fault-table: $rows faults, each with its tests"
exit "$failed"
