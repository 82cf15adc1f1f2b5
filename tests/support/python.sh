#!/bin/bash
# Gives a test Python packages from PyPI, in a virtual environment of their own; prints its interpreter.
#
#   python.sh DIR PACKAGE==VERSION…
#
# The environment is made once and kept in DIR. Without Python, or where pip reaches no registry, it fails and says so.
set -eu
dir=$1
shift
die() { echo "python.sh: $*" >&2; exit 1; }

command -v python3 >/dev/null || die "python3 is missing; install it: apt-get install python3 python3-venv"
mkdir -p "$dir"
# Tests run side by side, and each asks.
exec 9>"$dir/lock"
flock 9
wanted="$*"
if [ "$(cat "$dir/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$dir/venv" "$dir/installed"
  python3 -m venv "$dir/venv" >&2 || die "no virtual environment could be made; install python3-venv"
  "$dir/venv/bin/pip" install --quiet --disable-pip-version-check "$@" >&2 ||
    die "pip could not install $wanted; does it reach its registry?"
  echo "$wanted" >"$dir/installed"
fi
echo "$dir/venv/bin/python"
